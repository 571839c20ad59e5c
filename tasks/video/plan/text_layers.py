"""Describes a script's texts, overlays and captions in a segment's spec. Pure.

Only what is visible in the segment is described, and equal looks are described equally, so that equal segments share a key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from shared.script.timeline import exact_fraction
from shared.script.values import Text
from tasks.video.picture.text.typesetting import IN_SECONDS, MAX_TYPING_SHARE, OUT_SECONDS
from tasks.video.plan import text_placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.script.timeline import Slot, Timeline
    from shared.script.values import ImageOverlay, Scene, Script
    from tasks.video.captions.cues import Cue
    from tasks.video.plan.values import Source, Span

# A word's time may fall exactly on a frame's middle: slightly less than a half keeps rounding errors from deciding there.
ROUNDING = 0.4987


def describe_texts(
    scene: Scene, script: Script, slot: Slot, span: Span, timeline: Timeline
) -> list[dict[str, Any]]:
    """Return the scene's texts that are visible in the span."""
    if not scene.text:
        return []
    fps = timeline.fps
    timed = _timed_texts(scene.text, slot.frames, fps)
    surroundings = text_placement.find_surroundings(
        script, scene, _timed_overlays(script, timeline, slot.start)
    )
    offset = span.start - slot.start
    described = []
    for index, (text, start, end) in enumerate(timed):
        item = _describe_text(text, start, end, slot.frames) | text_placement.choose_place(
            index, timed, surroundings
        )
        if visible := _visible_part(item, offset, span.frames, fps):
            described.append(visible)
    return described


def describe_chart_clearance(scene: Scene, script: Script, timeline: Timeline) -> dict[str, Any]:
    """Return what a scene's chart must not cover: labels and captions."""
    surroundings = text_placement.find_surroundings(script, scene, _timed_overlays(script, timeline, 0))
    clear = text_placement.chart_clearance(scene, surroundings)
    return {"clear": clear} if clear else {}


def describe_overlays(
    script: Script, sources: Mapping[str, Source], span: Span, timeline: Timeline
) -> list[dict[str, Any]]:
    """Return the overlays that are visible in the span, the lowest first."""
    if not script.overlays:
        return []
    described = []
    timed = _timed_overlays(script, timeline, 0)
    surroundings = text_placement.find_surroundings(script, None)
    text_indices = iter(range(len(timed)))
    for overlay in script.overlays:
        start, end = _frame_span(overlay, timeline.frames, timeline.fps)
        if not isinstance(overlay, Text):
            item = {
                "source": sources[overlay.src].media.sha256, "position": overlay.position, "width": overlay.width,
                "opacity": overlay.opacity, "start": start, "end": end,
            }  # fmt: skip
        elif overlay.text.strip():
            item = _describe_text(overlay, start, end, timeline.frames) | text_placement.choose_place(
                next(text_indices), timed, surroundings
            )
        else:
            continue
        if visible := _visible_part(item, span.start, span.frames, timeline.fps):
            described.append(visible)
    return described


def _timed_overlays(script: Script, timeline: Timeline, before: int) -> list[text_placement.TimedText]:
    """Return the script's text overlays, their frames counted from frame `before` of the video."""
    timed = _timed_texts(text_placement.select_texts(script.overlays), timeline.frames, timeline.fps)
    return [(text, start - before, end - before) for text, start, end in timed]


def _timed_texts(texts: Sequence[Text], frames: int, fps: int) -> list[text_placement.TimedText]:
    """Return the texts that are not blank, with their first frame and the one after their last."""
    return [(text, *_frame_span(text, frames, fps)) for text in texts if text.text.strip()]


def cues_in_frames(cues: Sequence[Cue], script: Script, fps: int) -> list[dict[str, Any]]:
    """Return the burnt-in cues, their times as frames of the whole video; none if the style is `none`."""
    if script.captions.style == "none":
        return []
    described = []
    for cue in cues:
        timed: dict[str, Any] = {
            "start": floor(cue.start * fps + ROUNDING), "end": floor(cue.end * fps + ROUNDING), "lines": list(cue.lines)
        }  # fmt: skip
        if script.captions.style == "words":
            timed["words"] = [
                [floor(word.start * fps + ROUNDING), floor(word.end * fps + ROUNDING), word.line, word.text]
                for word in cue.words
            ]
        described.append(timed)
    return described


def describe_captions(cues: list[dict[str, Any]], script: Script, span: Span) -> dict[str, Any] | None:
    """Return the captions that are visible in the span, or None."""
    first = bisect_right(cues, span.start, key=lambda cue: int(cue["end"]))  # cues never overlap
    last = bisect_left(cues, span.end, key=lambda cue: int(cue["start"]))
    visible = [_shift_cue(cue, span) for cue in cues[first:last]]
    return {"position": script.captions.position, "cues": visible} if visible else None


def _shift_cue(cue: dict[str, Any], span: Span) -> dict[str, Any]:
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


def _frame_span(item: Text | ImageOverlay, frames: int, fps: int) -> tuple[int, int]:
    """Return the item's first frame and the one after its last, within `frames` frames."""
    start = round(exact_fraction(item.start) * fps)
    end = frames if item.end is None else min(frames, round(exact_fraction(item.end) * fps))
    return start, end


def _describe_text(text: Text, start: int, end: int, frames: int) -> dict[str, Any]:
    item: dict[str, Any] = {"text": text.text, "role": text.role, "start": start, "end": end}
    if text.animation != "none":
        item["animation"] = text.animation
        if end < frames:  # a text that stays to the scene's end leaves with the scene instead of fading
            item["out"] = True
    return item


def _visible_part(item: dict[str, Any], offset: int, frames: int, fps: int) -> dict[str, Any] | None:
    """Return the item as a segment of `frames` frames from `offset` on shows it, or None.

    An animation that is over before the segment, or begins after it, is left out: the segment looks as if it had none.
    """
    start, end = item["start"] - offset, item["end"] - offset
    if start >= frames or end <= 0 or start >= end:
        return None
    visible = {**item, "start": start, "end": end}
    if "out" in visible and end - ceil(OUT_SECONDS * fps) >= frames:
        del visible["out"]
    if "out" in visible:
        return visible
    arriving = {"type": MAX_TYPING_SHARE * (end - start), "none": 0}.get(
        visible.get("animation", "none"), IN_SECONDS * fps
    )
    if -start >= arriving:
        visible.pop("animation", None)
        visible["start"] = max(0, start)
    if "animation" not in visible or visible["animation"] != "type":
        visible["end"] = min(end, frames)
    return visible
