"""Finds the spans of frames in which text does not change, so that it is drawn once and not on every frame. Pure.

ffmpeg's `ass` blends glyphs and glows into each frame anew, which takes up to a fifth of the time of encoding it. Static text is
drawn once instead, and overlaid as a picture: see `tasks.video.picture.filter_graph`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.video.picture.text.ass import Event

Spans = tuple[tuple[int, int], ...]

MIN_FRAMES = 12  # drawing a shorter span on each frame costs no more
MIN_TOTAL_FRAMES = 24  # in all spans: drawing once has a fixed cost of its own


def find_static_spans(events: Sequence[Event], frames: int) -> Spans:
    """Return the spans (first frame, frame after the last) with constant events; empty if too short to pay off."""
    edges = {min(max(frame, 0), frames) for event in events for frame in (event.start, event.end)}
    static_spans = tuple(
        (start, end)
        for start, end in pairwise(sorted(edges))
        if end - start >= MIN_FRAMES and any(event.start <= start < event.end for event in events)
    )
    return static_spans if sum(end - start for start, end in static_spans) >= MIN_TOTAL_FRAMES else ()


def cut_out(events: Sequence[Event], spans: Spans) -> list[Event]:
    """Return the events of all other frames."""
    return [piece for event in events for piece in _cut(event, spans)]


def _cut(event: Event, spans: Spans) -> Iterator[Event]:
    """Yield the parts of an event outside the spans, which are sorted."""
    start = event.start
    for first, last in spans:
        if first >= event.end:
            break
        if start < min(first, event.end):
            yield replace(event, start=start, end=first)
        start = max(start, last)
    if start < event.end:
        yield replace(event, start=start)
