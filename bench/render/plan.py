"""What every contestant is told: the reel's files, and which frame everything happens at, as Scenemill plans it.

Narration is spoken once here by the engine that Scenemill has, so that peers get the very same sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from bench.render import reel
from shared.script import timeline
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema
from tasks import speech

if TYPE_CHECKING:
    from pathlib import Path

    from bench.render.reel import Reel


NOWHERE = "asset:00000000-0000-0000-0000-000000000000"  # a timeline needs no file


@dataclass(frozen=True, slots=True)
class Plan:
    """The reel to the frame. Times in seconds."""

    reel: Reel
    titles: tuple[str, ...]
    speech: tuple[Path, ...]
    spoken: float
    spoken_lengths: tuple[float, ...]
    frames: tuple[int, ...]  # of each scene, its crossfades included
    starts: tuple[float, ...]
    spoken_at: tuple[float, ...]
    seconds: float
    total: int  # frames


def make(folder: Path) -> Plan:
    """Make the reel's files, speak its narration, and lay both on the timeline."""
    media = reel.make(folder / "media")
    script = load(ScriptSchema(), reel.script([NOWHERE] * len(reel.TITLES), NOWHERE))
    said = folder / "speech"
    said.mkdir(exist_ok=True)
    lines = [
        speech.Line(scene.narration.text, script.language, said / f"{scene.id}.wav", scene.narration.voice)
        for scene in script.scenes
        if scene.narration is not None
    ]
    spoken = speech.narrate(lines)
    lengths = {
        scene.id: Fraction(one.samples, one.rate) for scene, one in zip(script.scenes, spoken, strict=True)
    }
    planned = timeline.plan_timeline(script, lengths, reel.FPS)
    return Plan(
        reel=media,
        titles=reel.TITLES,
        speech=tuple(one.path for one in spoken),
        spoken=float(sum(lengths.values())),
        spoken_lengths=tuple(map(float, lengths.values())),
        frames=tuple(slot.frames for slot in planned.scenes),
        starts=tuple(slot.start / reel.FPS for slot in planned.scenes),
        spoken_at=tuple(float(slot.narration_start) for slot in planned.scenes),
        seconds=float(planned.seconds),
        total=planned.frames,
    )
