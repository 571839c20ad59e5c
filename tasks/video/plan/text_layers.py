"""Turns a script's texts, overlays and captions into what a segment's spec says of them: only what is seen. Pure.

What looks the same in two segments is written the same, so that their keys are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from shared.script.timeline import exact
from shared.script.values import Text
from tasks.video.picture.text.typesetting import IN_SECONDS, OUT_SECONDS, TYPED_AT_MOST
from tasks.video.plan import text_placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.script.timeline import Slot, Timeline
    from shared.script.values import ImageOverlay, Scene, Script
    from tasks.video.captions.cues import Cue
    from tasks.video.plan.segments import Source, Span

# A word's time is a whole number of samples, and so a frame's edge or middle: no rounding error may decide there.
ROUNDING = 0.4987


def describe_texts(
    scene: Scene, script: Script, slot: Slot, span: Span, timeline: Timeline
) -> list[dict[str, Any]]:
    """Return the scene's texts that are seen in the span."""
    if not scene.text:
        return []
    fps = timeline.fps
    timed = _timed(scene.text, slot.frames, fps)
    near = text_placement.around(script, scene, _over(script, timeline, slot.start))
    offset = span.start - slot.start
    found = []
    for index, (text, start, end) in enumerate(timed):
        item = _item(text, start, end, slot.frames) | text_placement.place(index, timed, near)
        if seen := _seen(item, offset, span.frames, fps):
            found.append(seen)
    return found


def describe_chart_clearance(scene: Scene, script: Script, timeline: Timeline) -> dict[str, Any]:
    """Return what a scene's chart leaves room for."""
    near = text_placement.around(script, scene, _over(script, timeline, 0))
    clear = text_placement.clear(scene, near)
    return {"clear": clear} if clear else {}


def describe_overlays(
    script: Script, sources: Mapping[str, Source], span: Span, timeline: Timeline
) -> list[dict[str, Any]]:
    """Return the overlays that are seen in the span, in the order in which they lie on each other."""
    if not script.overlays:
        return []
    found = []
    timed = _over(script, timeline, 0)
    near = text_placement.around(script, None)
    written = iter(range(len(timed)))
    for overlay in script.overlays:
        start, end = _frames(overlay, timeline.frames, timeline.fps)
        if not isinstance(overlay, Text):
            item = {
                "source": sources[overlay.src].media.sha256, "position": overlay.position, "width": overlay.width,
                "opacity": overlay.opacity, "start": start, "end": end,
            }  # fmt: skip
        elif overlay.text.strip():
            item = _item(overlay, start, end, timeline.frames) | text_placement.place(
                next(written), timed, near
            )
        else:
            continue
        if seen := _seen(item, span.start, span.frames, timeline.fps):
            found.append(seen)
    return found


def _over(script: Script, timeline: Timeline, before: int) -> list[text_placement.Timed]:
    """Return the texts over the whole video, their times counted from a frame of it."""
    timed = _timed(text_placement.texts(script.overlays), timeline.frames, timeline.fps)
    return [(text, start - before, end - before) for text, start, end in timed]


def _timed(texts: Sequence[Text], frames: int, fps: int) -> list[text_placement.Timed]:
    """Return the texts that say something, with their first frame and the one after their last."""
    return [(text, *_frames(text, frames, fps)) for text in texts if text.text.strip()]


def cues_in_frames(cues: Sequence[Cue], script: Script, fps: int) -> list[dict[str, Any]]:
    """Return the cues that are burnt in, their times as frames of the whole video."""
    if script.captions.style == "none":
        return []
    found = []
    for cue in cues:
        timed: dict[str, Any] = {
            "start": floor(cue.start * fps + ROUNDING), "end": floor(cue.end * fps + ROUNDING), "lines": list(cue.lines)
        }  # fmt: skip
        if script.captions.style == "words":
            timed["words"] = [
                [floor(word.start * fps + ROUNDING), floor(word.end * fps + ROUNDING), word.line, word.text]
                for word in cue.words
            ]
        found.append(timed)
    return found


def describe_captions(cues: list[dict[str, Any]], script: Script, span: Span) -> dict[str, Any] | None:
    """Return the captions that are seen in the span."""
    first = bisect_right(cues, span.start, key=lambda cue: int(cue["end"]))  # cues never overlap
    last = bisect_left(cues, span.end, key=lambda cue: int(cue["start"]))
    seen = [_shifted(cue, span) for cue in cues[first:last]]
    return {"position": script.captions.position, "cues": seen} if seen else None


def _shifted(cue: dict[str, Any], span: Span) -> dict[str, Any]:
    moved = {
        **cue,
        "start": max(0, cue["start"] - span.start),
        "end": min(span.frames, cue["end"] - span.start),
    }
    if "words" in cue:
        moved["words"] = [
            [max(0, start - span.start), min(span.frames, end - span.start), line, text]
            for start, end, line, text in cue["words"]
            if start < span.end and end > span.start
        ]
    return moved


def _frames(item: Text | ImageOverlay, frames: int, fps: int) -> tuple[int, int]:
    """Return the first frame, and the one after the last, within so many frames."""
    start = round(exact(item.start) * fps)
    end = frames if item.end is None else min(frames, round(exact(item.end) * fps))
    return start, end


def _item(text: Text, start: int, end: int, frames: int) -> dict[str, Any]:
    item: dict[str, Any] = {"text": text.text, "role": text.role, "start": start, "end": end}
    if text.animation != "none":
        item["animation"] = text.animation
        if end < frames:  # what stays to the scene's end leaves with the scene
            item["out"] = True
    return item


def _seen(item: dict[str, Any], offset: int, frames: int, fps: int) -> dict[str, Any] | None:
    """Return the item as a segment of so many frames from `offset` on shows it, or None."""
    start, end = item["start"] - offset, item["end"] - offset
    if start >= frames or end <= 0 or start >= end:
        return None
    seen = {**item, "start": start, "end": end}
    if "out" in seen and end - ceil(OUT_SECONDS * fps) >= frames:
        del seen["out"]
    if "out" in seen:
        return seen
    arriving = {"type": TYPED_AT_MOST * (end - start), "none": 0}.get(
        seen.get("animation", "none"), IN_SECONDS * fps
    )
    if -start >= arriving:
        seen.pop("animation", None)
        seen["start"] = max(0, start)
    if "animation" not in seen or seen["animation"] != "type":
        seen["end"] = min(end, frames)
    return seen
