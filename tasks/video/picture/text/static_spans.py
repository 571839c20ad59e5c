"""Says where text on the picture stays as it is, so that it need not be drawn on every frame. Pure.

ffmpeg's `ass` blends its glyphs and glows into each frame anew, which costs as much as a fifth of encoding it. What
stands still for a while is drawn once instead, and laid on as a picture: see `tasks.video.picture.filter_graph`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.video.picture.text.ass import Event

Spans = tuple[tuple[int, int], ...]

MIN_FRAMES = 12  # frames: what stays for less is drawn on each of them, which costs no more
MIN_TOTAL_FRAMES = 24  # frames in all: preparing to draw once has a price of its own


def find_static_spans(events: Sequence[Event], frames: int) -> Spans:
    """Return where, from one frame up to another, the same events are seen for long; none if it is not worth it."""
    edges = {min(max(frame, 0), frames) for event in events for frame in (event.start, event.end)}
    found = tuple(
        (start, end)
        for start, end in pairwise(sorted(edges))
        if end - start >= MIN_FRAMES and any(event.start <= start < event.end for event in events)
    )
    return found if sum(end - start for start, end in found) >= MIN_TOTAL_FRAMES else ()


def cut_out(events: Sequence[Event], lasting: Spans) -> list[Event]:
    """Return what is seen of the events on all other frames."""
    return [piece for event in events for piece in _cut(event, lasting)]


def _cut(event: Event, lasting: Spans) -> Iterator[Event]:
    """Yield what the spans, which lie in order, leave of an event."""
    start = event.start
    for first, last in lasting:
        if first >= event.end:
            break
        if start < min(first, event.end):
            yield replace(event, start=start, end=first)
        start = max(start, last)
    if start < event.end:
        yield replace(event, start=start)
