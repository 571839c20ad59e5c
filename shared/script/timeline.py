"""Turns a script and the measured lengths of its narration into whole frames. Pure; all times are exact fractions.

A scene's length includes the transitions at both ends, so neighbours overlap by the transition between them, and nobody
speaks during one. docs/script.md explains it ("How long it takes").
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import TYPE_CHECKING

from shared.script import speaking_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shared.script.values import ImageOverlay, Scene, Script, Text


@dataclass(frozen=True, slots=True)
class Slot:
    """When a scene is on screen. Frames count from the start of the video; the transition is the one INTO the scene."""

    id: str
    index: int
    start: int
    frames: int
    transition: int
    lead: Fraction
    narration: Fraction | None
    narration_start: Fraction

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + self.frames


@dataclass(frozen=True, slots=True)
class Timeline:
    """The place of every scene in the video."""

    fps: int
    frames: int
    scenes: tuple[Slot, ...]

    @property
    def seconds(self) -> Fraction:
        """The length of the whole video in seconds."""
        return Fraction(self.frames, self.fps)


def exact_fraction(seconds: float | Fraction) -> Fraction:
    """Return the decimal number as it was written: 0.1 is a tenth, not the nearest binary number."""
    # Through its decimal text: with floats, 0.1 s at 30 fps could round to another frame on another machine.
    return seconds if isinstance(seconds, Fraction) else Fraction(str(seconds))


def plan_timeline(script: Script, narration: Mapping[str, Fraction], fps: int) -> Timeline:
    """Return the timeline. `narration` has the seconds of each spoken scene, by the scene's id."""
    scenes = script.scenes
    spoken = [
        None if (seconds := narration.get(scene.id)) is None else exact_fraction(seconds) for scene in scenes
    ]
    wished = _requested_transitions(scenes, fps)
    # Twice: a transition is at most half of its shorter neighbour, and a scene's length depends on its transitions.
    lengths = _lengths(scenes, spoken, wished, fps)
    transitions = [0] + [
        min(wish, min(before, after) // 2)
        for wish, (before, after) in zip(wished[1:], pairwise(lengths), strict=True)
    ]  # fmt: skip
    return _place_scenes(scenes, spoken, transitions, _lengths(scenes, spoken, transitions, fps), fps)


def _requested_transitions(scenes: Sequence[Scene], fps: int) -> list[int]:
    """Return each transition's frames as the script asks for them, rounded down."""
    return [
        0
        if index == 0 or scene.transition.type == "cut"
        else floor(exact_fraction(scene.transition.duration) * fps)
        for index, scene in enumerate(scenes)
    ]


def _lengths(
    scenes: Sequence[Scene], spoken: Sequence[Fraction | None], transitions: Sequence[int], fps: int
) -> list[int]:
    """Return each scene's frames, given the transitions at its ends."""
    leads = [Fraction(frames, fps) for frames in transitions]
    tails = [*leads[1:], Fraction(0)]
    return [
        # Rounded up, so that the last syllable is not cut; at least one frame, since ffmpeg cannot make none.
        max(1, ceil(_seconds(scene, narration, lead, tail) * fps))
        for scene, narration, lead, tail in zip(scenes, spoken, leads, tails, strict=True)
    ]


def _seconds(scene: Scene, narration: Fraction | None, lead: Fraction, tail: Fraction) -> Fraction:
    if narration is None and scene.duration is not None:
        return exact_fraction(scene.duration)
    minimum = scene.silent_duration if narration is None else scene.duration or 0
    content = reading_seconds(scene) if narration is None else narration
    if content is None:
        return exact_fraction(minimum)
    return max(
        exact_fraction(minimum), _lead(scene, lead) + content + max(exact_fraction(scene.pad_after), tail)
    )


def reading_seconds(scene: Scene) -> Fraction | None:
    """Return how many seconds reading a scene's captions takes, or None where it has none or is spoken."""
    narration = scene.narration
    if (
        narration is None
        or narration.src is not None
        or narration.voice.name != "none"
        or not narration.text.strip()
    ):
        return None
    return Fraction(round(speaking_rate.estimate_speech_seconds(narration.text) * 1000), 1000)


def describe_unseen(timeline: Timeline, script: Script) -> Iterator[str]:
    """Yield a warning for each text and overlay that starts after its scene or the video has ended."""
    for slot, scene in zip(timeline.scenes, script.scenes, strict=True):
        for text in scene.text:
            if _starts_too_late(text, slot.frames, timeline.fps):
                yield (
                    f"A text of scene {slot.id!r} is never seen: it starts at {text.start:g} s, "
                    f"and the scene lasts {slot.frames / timeline.fps:.2f} s."
                )
    for overlay in script.overlays:
        if _starts_too_late(overlay, timeline.frames, timeline.fps):
            yield (
                f"An overlay is never seen: it starts at {overlay.start:g} s, "
                f"and the video lasts {float(timeline.seconds):.2f} s."
            )


def _starts_too_late(item: Text | ImageOverlay, frames: int, fps: int) -> bool:
    # Rounded as rendering rounds it, so that the warning and the picture agree.
    return round(exact_fraction(item.start) * fps) >= frames


def _lead(scene: Scene, into: Fraction) -> Fraction:
    return max(exact_fraction(scene.pad_before), into)


def _place_scenes(
    scenes: Sequence[Scene],
    spoken: Sequence[Fraction | None],
    transitions: Sequence[int],
    lengths: Sequence[int],
    fps: int,
) -> Timeline:
    slots: list[Slot] = []
    end = 0
    for index, (scene, narration, transition, frames) in enumerate(
        zip(scenes, spoken, transitions, lengths, strict=True)
    ):
        # Scenes overlap by their transition: it shows both at once.
        start = end - transition
        lead = _lead(scene, Fraction(transition, fps))
        slots.append(
            Slot(scene.id, index, start, frames, transition, lead, narration, Fraction(start, fps) + lead)
        )
        end = start + frames
    return Timeline(fps, end, tuple(slots))
