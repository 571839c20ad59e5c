"""Computes how far music is ducked under speech, from the spoken spans alone. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.script.timeline import Timeline
    from tasks.video.captions.cues import Cue

DEPTH = -12.0  # dB
ATTACK = 0.15  # seconds before speech, so that its first syllable is clear
RELEASE = 0.4  # seconds after it
MIN_GAP = 0.6  # seconds: music that came up in a shorter gap would pump


@dataclass(frozen=True, slots=True)
class Envelope:
    """Gain in dB at points in time (seconds): linear between them, constant before the first and after the last."""

    seconds: tuple[float, ...] = (0.0,)
    decibels: tuple[float, ...] = (0.0,)


def find_speech(timeline: Timeline, cues: Sequence[Cue]) -> list[tuple[float, float]]:
    """Return the spans of speech in seconds: each narration without the pauses between its words."""
    words = sorted((word.start, word.end) for cue in cues for word in cue.words)
    spans: list[tuple[float, float]] = []
    for slot in timeline.scenes:
        if slot.narration is None:
            continue
        start = float(slot.narration_start)
        end = start + float(slot.narration)
        inside = words[bisect_left(words, (start,)) : bisect_left(words, (end,))]
        spans += inside or [(start, end)]
    return merge_spans(spans)


def merge_spans(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge spans that overlap or are closer than MIN_GAP."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < MIN_GAP:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def compute_envelope(spans: Iterable[tuple[float, float]]) -> Envelope:
    """Return the envelope over the spans. MIN_GAP exceeds a release plus an attack, so that ramps never overlap."""
    points = [
        point
        for start, end in merge_spans(spans)
        for point in ((start - ATTACK, 0.0), (start, DEPTH), (end, DEPTH), (end + RELEASE, 0.0))
    ]
    if not points:
        return Envelope()
    return Envelope(tuple(second for second, _ in points), tuple(level for _, level in points))
