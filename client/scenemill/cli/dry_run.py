"""Shows what would come of a job: its errors, or its timeline and what it would take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.text import Text

from scenemill.cli import hints, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from scenemill.types.jobs import DryRun, Estimate, SceneTime

INVALID = 3  # the exit code of a job that the API would refuse
BAR = 24


def report(tried: DryRun, posted: hints.Posted) -> Iterator[RenderableType]:
    """Give the lines and tables of it."""
    if tried.valid:
        yield Text("The job is valid. Nothing was posted.", style="green")
    else:
        yield Text(f"The job is invalid: {output.count(len(tried.errors), 'error')}.", style="bold red")
        table = output.facts(hints.places(tried.errors, replace(posted, name="")))
        table.columns[0].style = "red"
        yield table
    for warning in tried.warnings:
        yield Text.assemble(("Warning: ", "yellow"), warning)
    if tried.timeline:
        yield from (Text(), *_timeline(tried.timeline))
    if tried.estimate:
        yield from (Text(), _estimate(tried.estimate))


def _timeline(scenes: tuple[SceneTime, ...]) -> Iterator[RenderableType]:
    total = max(scene.start + scene.duration for scene in scenes) or 1.0
    table = output.table("Scene", "Start", "Length", "", right=("Start", "Length"))
    table.columns[0].max_width = 24
    for scene in scenes:
        about = "" if scene.exact else "~"
        left = min(BAR - 1, round(BAR * scene.start / total))
        width = min(max(1, round(BAR * scene.duration / total)), BAR - left)
        bar = Text(" " * left).append("━" * width, style="cyan")
        table.add_row(scene.id, output.seconds(scene.start), f"{about}{output.seconds(scene.duration)}", bar)
    yield table
    if not all(scene.exact for scene in scenes):
        yield Text("~ estimated: how long a scene speaks is known when it has been spoken", style="dim")


def _estimate(estimate: Estimate) -> Any:
    return output.facts(
        [
            (
                "Video",
                output.seconds(estimate.duration)
                if estimate.duration is not None
                else "not known before it is written",
            ),
            ("Rendering", f"{output.seconds(estimate.render_seconds)} at most"),
            ("Spoken characters", estimate.speech_characters or None),
            ("Model tokens", estimate.llm_tokens or None),
            ("Pictures", estimate.images or None),
            ("Cost", f"{estimate.cost:g}" if estimate.cost else None),
        ]
    )
