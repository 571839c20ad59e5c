"""What the command shows: a live bar on a terminal, plain lines elsewhere, tables and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from rich.console import Console

    from scenemill.types.tasks import Task

STEP = 0.1  # how far a job must get before a plain line says so again


def describe(task: Task) -> str:
    """Say in a few words what a task is doing."""
    words = task.stage if task.status == "running" and task.stage else task.status
    scenes = [scene for scene in task.scenes if scene.status in ("rendering", "running")]
    if task.stage == "rendering" and scenes:
        return f"{words} {', '.join(scene.id for scene in scenes[:2])}"
    return words


class Follower:
    """Shows a task's way to its end. A context manager; call it with each new state."""

    def __init__(self, console: Console, label: str) -> None:
        self._console = console
        self._label = label
        self._said: tuple[str, int] | None = None
        self._progress: Progress | None = None
        if console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=32),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[doing]}"),
                console=console,
            )
            self._bar = self._progress.add_task(label, total=1.0, doing="queued")

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, task: Task) -> None:
        """Show a new state."""
        done = 1.0 if task.status == "succeeded" else task.progress
        if self._progress is not None:
            self._progress.update(self._bar, completed=done, doing=describe(task))
            return
        said = (task.stage if task.status == "running" and task.stage else task.status, int(done / STEP))
        if said != self._said:
            self._said = said
            self._console.print(f"{self._label}: {done:4.0%} {describe(task)}", markup=False, highlight=False)


def facts(task: Task) -> list[str]:
    """Return what is worth knowing about a finished video, a line each."""
    if task.result is None:
        return []
    lines = []
    video = next((one for one in task.artifacts if one.media_type.startswith("video/")), None)
    if video is not None:
        duration = video.duration or task.result.duration or 0.0
        lines.append(f"{duration:.1f} s, {video.width}x{video.height}, {video.bytes / 1e6:.1f} MB")
    if "rendered_segments" in task.result.usage.raw:
        usage = task.result.usage
        lines.append(
            f"{usage.rendered_segments} segments rendered, {usage.cached_segments} from the cache, "
            f"{usage.render_seconds:.1f} s of rendering"
        )
    return lines
