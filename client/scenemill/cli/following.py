"""Shows how far a task or a batch is: a live display on a terminal, a line at each new stage elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from scenemill.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from rich.console import Console, RenderableType

    from scenemill import Scenemill
    from scenemill.types.batches import Batch
    from scenemill.types.tasks import SceneProgress, Task

SHOWN_SCENES = 6
LABEL, BAR, SCENE_BAR = 24, 24, 20


class Follower:
    """Shows the states that it is called with, each of them newer than the one before. A context manager."""

    def __init__(self, console: Console, label: str, *, quiet: bool = False) -> None:
        self._console, self._label, self._quiet = console, label, quiet
        self._said = ""
        self._live: Live | None = None
        if console.is_terminal and not quiet:
            self._bar = Progress(
                SpinnerColumn(style="cyan", finished_text=" "),
                TextColumn("{task.description}"),
                BarColumn(bar_width=BAR, complete_style="cyan", finished_style="green", pulse_style="cyan"),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TextColumn("[cyan]{task.fields[doing]}"),
                console=console,
            )
            # The console prints text as it is, but a label may hold brackets that a column takes for a style.
            self._row = self._bar.add_task(label[:LABEL].replace("[", r"\["), total=1.0, doing="")
            self._live = Live(self._bar, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def task(self, task: Task) -> None:
        """Show a task."""
        done = 1.0 if task.status == "succeeded" else task.progress
        self._show(done, doing(task), scene_lines(task.scenes) if task.status == "running" else [])

    def batch(self, batch: Batch) -> None:
        """Show a batch."""
        self._show(batch.progress, counts_line(batch), [])

    def _show(self, done: float, words: str, lines: Sequence[Text]) -> None:
        if self._live is not None:
            self._bar.update(self._row, completed=done, doing=words)
            parts: list[RenderableType] = [self._bar, *lines]
            self._live.update(Group(*parts), refresh=True)
        elif words != self._said and not self._quiet:
            self._console.print(f"{self._label}: {words}")
        self._said = words


def doing(task: Task) -> str:
    """Return in a few words what a task does."""
    if task.status != "running" or not task.stage:
        return task.status
    return task.stage


def scene_lines(scenes: Sequence[SceneProgress]) -> list[Text]:
    """Return a line for each scene that is being rendered, and one that counts all of them."""
    if not scenes:
        return []
    active = [scene for scene in scenes if scene.status == "rendering"]
    lines = [_scene_line(scene) for scene in active[:SHOWN_SCENES]]
    done = [scene for scene in scenes if scene.status == "done"]
    cached = sum(scene.cached for scene in done)
    words = f"  {len(done)} of {len(scenes)} scenes done"
    words += f", {cached} from the cache" if cached else ""
    words += f", {len(active) - SHOWN_SCENES} more in progress" if len(active) > SHOWN_SCENES else ""
    return [*lines, Text(words, style="dim")]


def _scene_line(scene: SceneProgress) -> Text:
    full = round(SCENE_BAR * min(1.0, max(0.0, scene.progress)))
    line = Text(f"  {scene.id[:24]:<24} ", no_wrap=True)
    line.append("━" * full, style="cyan").append("━" * (SCENE_BAR - full), style="bright_black")
    return line.append(f" {scene.progress:4.0%}")


def counts_line(batch: Batch) -> str:
    """Return how many tasks of a batch have which status."""
    return ", ".join(f"{count} {name}" for name, count in batch.counts.items() if count) or batch.status


@contextlib.contextmanager
def _interruptible(group: str, reference: str, console: Console) -> Iterator[None]:
    """Say at Ctrl-C that the task or batch goes on, and how to watch and cancel it."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            f"The {group.removesuffix('s')} goes on.\n"
            f"  Watch it:   scenemill {group} watch {reference}\n"
            f"  Cancel it:  scenemill {group} cancel {reference}"
        )
        raise


def follow_task(
    api: Scenemill,
    task: Task,
    *,
    label: str,
    console: Console,
    quiet: bool = False,
    timeout: float | None = None,
) -> Task:
    """Show a task until it has ended, and return it, however it ended; or raise WaitTimeout."""
    with _interruptible("tasks", task.task_id, console), Follower(console, label, quiet=quiet) as shown:
        shown.task(task)
        return api.tasks.wait(task, on_change=shown.task, timeout=timeout, check=False)


def follow_batch(
    api: Scenemill, batch: Batch, *, console: Console, quiet: bool = False, timeout: float | None = None
) -> Batch:
    """Show a batch until all its tasks have ended, and return it; or raise WaitTimeout."""
    with _interruptible("batch", batch.batch_id, console), Follower(console, "batch", quiet=quiet) as shown:
        shown.batch(batch)
        return api.batches.wait(batch, on_change=shown.batch, timeout=timeout)


def outcome(task: Task) -> Text:
    """Return how a task ended, and why."""
    line = output.status(task.status)
    if task.error:
        code = f" ({task.error.code})" if task.error.code else ""
        line.append(f": {task.error.detail or task.error.title}{code}", style="")
    return line
