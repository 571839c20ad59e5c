"""The boxes of text roles on wide and on tall pictures, inside the title-safe area. Pure.

`plan.text_placement` decides which of a role's places a text takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.video.picture.text.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Box:
    """A role's box in parts of the frame, and the text's alignment in it."""

    left: float
    right: float
    top: float
    bottom: float
    across: Literal["left", "center"] = "center"
    down: Literal["top", "middle", "bottom"] = "middle"


WIDE: dict[str, Box] = {
    "title": Box(0.10, 0.90, 0.16, 0.78),
    "title_above": Box(0.10, 0.90, 0.14, 0.55, down="bottom"),
    "subtitle": Box(0.14, 0.86, 0.30, 0.70),
    "subtitle_below": Box(0.14, 0.86, 0.595, 0.78, down="top"),
    "subtitle_beneath": Box(0.14, 0.86, 0.59, 0.69, down="top"),
    "quote": Box(0.14, 0.86, 0.14, 0.78),
    "title_apart": Box(0.10, 0.90, 0.14, 0.325, down="bottom"),
    "subtitle_apart": Box(0.14, 0.86, 0.345, 0.43),
    "quote_apart": Box(0.14, 0.86, 0.46, 0.78, down="top"),
    "label": Box(0.06, 0.52, 0.07, 0.17, "left", "top"),
    "label_under": Box(0.06, 0.52, 0.155, 0.255, "left", "top"),
    "label_lowered": Box(0.06, 0.52, 0.24, 0.34, "left", "top"),
    "label_lowered_under": Box(0.06, 0.52, 0.325, 0.425, "left", "top"),
    "lower_third": Box(0.06, 0.62, 0.70, 0.92, "left", "bottom"),
    "lower_third_raised": Box(0.06, 0.62, 0.58, 0.775, "left", "bottom"),
}
TALL: dict[str, Box] = {
    "title": Box(0.08, 0.92, 0.16, 0.70),
    "title_above": Box(0.08, 0.92, 0.14, 0.48, down="bottom"),
    "subtitle": Box(0.10, 0.90, 0.30, 0.64),
    "subtitle_below": Box(0.10, 0.90, 0.515, 0.70, down="top"),
    "subtitle_beneath": Box(0.10, 0.90, 0.575, 0.70, down="top"),
    "quote": Box(0.09, 0.91, 0.14, 0.70),
    "title_apart": Box(0.08, 0.92, 0.14, 0.30, down="bottom"),
    "subtitle_apart": Box(0.10, 0.90, 0.32, 0.39),
    "quote_apart": Box(0.09, 0.91, 0.42, 0.70, down="top"),
    "label": Box(0.07, 0.80, 0.07, 0.14, "left", "top"),
    "label_under": Box(0.07, 0.80, 0.12, 0.19, "left", "top"),
    "label_lowered": Box(0.07, 0.80, 0.20, 0.27, "left", "top"),
    "label_lowered_under": Box(0.07, 0.80, 0.25, 0.32, "left", "top"),
    "lower_third": Box(0.07, 0.90, 0.72, 0.86, "left", "bottom"),
    "lower_third_raised": Box(0.07, 0.90, 0.56, 0.70, "left", "bottom"),
}
# The band of the frame's height for centred texts: all of it (None), or what is left by a label ("labelled"), by a lower
# third above captions ("high"), by captions in the middle ("upper") or at the top ("lower"; "lowest" with a label below them).
WIDE_BANDS: dict[str | None, tuple[float, float]] = {
    None: (0.14, 0.78), "labelled": (0.17, 0.78), "high": (0.17, 0.57), "upper": (0.17, 0.42),
    "lower": (0.22, 0.69), "lowest": (0.34, 0.69),
}  # fmt: skip
TALL_BANDS: dict[str | None, tuple[float, float]] = {
    None: (0.14, 0.70), "labelled": (0.14, 0.70), "high": (0.14, 0.55), "upper": (0.14, 0.43),
    "lower": (0.21, 0.71), "lowest": (0.28, 0.71),
}  # fmt: skip


def resolve_box(item: Mapping[str, Any], canvas: Canvas) -> Box:
    """Return the item's box in pixels, mirrored for right-to-left languages."""
    wide = canvas.width > canvas.height
    name = item["role"] + (f"_{item['place']}" if item.get("place") else "")
    box = _fit_band((WIDE if wide else TALL)[name], WIDE_BANDS if wide else TALL_BANDS, item.get("band"))
    part, parts = item.get("part", (0, 1))
    tall = (box.bottom - box.top) / parts
    top = box.top + part * tall
    left, right = (1 - box.right, 1 - box.left) if canvas.rtl else (box.left, box.right)
    return replace(
        box, left=left * canvas.width, right=right * canvas.width,
        top=top * canvas.height, bottom=(top + tall) * canvas.height,
    )  # fmt: skip


def _fit_band(box: Box, bands: Mapping[str | None, tuple[float, float]], band: str | None) -> Box:
    """Return a box of the frame's whole height, scaled into one of its bands."""
    (start, end), (first, last) = bands[None], bands[band]
    scale = (last - first) / (end - start)
    return replace(box, top=first + (box.top - start) * scale, bottom=first + (box.bottom - start) * scale)
