"""Draws a scene's texts: each in its role's box, on its backing, with its animation. Pure.

Frames count from the segment's first; a text may have begun before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.video.picture.text.ass import Event, TextStyle, rounded_box, text_line
from tasks.video.picture.text.boxes import Box, resolve_box
from tasks.video.picture.text.fitting import Face, TextBlock, fit_text, split_clusters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.video.picture.text.canvas import Canvas

IN_SECONDS = 0.5
OUT_SECONDS = 0.35
TYPING_RATE = 28.0
MAX_TYPING_SHARE = 0.6  # of a text's time on screen
RISE_HEIGHT = 0.045  # of the frame's height
VERTICAL_PADDING = 0.7  # of a backing's padding at its sides
CONNECTED_SCRIPTS = (
    0x0600,
    0x1100,
)  # scripts that join or reorder letters: typed word by word, or letters would change shape


@dataclass(frozen=True, slots=True)
class Moment:
    """A text's look from frame `start` up to `end`. `visible`: the units visible while typing; None is all."""

    start: int
    end: int
    opacity: float = 1.0
    drop: float = 0.0  # of the frame's height, below its final place
    visible: int | None = None


def draw_texts(
    items: list[Mapping[str, Any]], styles: Mapping[str, Any], canvas: Canvas, layer: int = 0
) -> list[Event]:
    """Return the events of all texts, later ones above."""
    events: list[Event] = []
    for index, item in enumerate(items):
        events += _draw_text(item, styles[item["role"]], canvas, layer + 4 * index)
    return events


def _draw_text(item: Mapping[str, Any], style: Mapping[str, Any], canvas: Canvas, layer: int) -> list[Event]:
    words = item["text"].upper() if style.get("uppercase") else item["text"]
    fallback_weight = style.get("others", 0)
    face = Face(style["font"], style["weight"], canvas.language, style.get("spacing", 0.0), fallback_weight)
    box = resolve_box(item, canvas)
    # At least half of a low box is left to the text; a padding as high as the box would leave nothing.
    padding = min(
        style["padding"] * style["size"] * canvas.short, (box.bottom - box.top) / (4 * VERTICAL_PADDING)
    )
    leading = style.get("leading", 1.16)
    block = fit_text(
        words, face, style["size"] * canvas.short,
        (box.right - box.left - 2 * padding, box.bottom - box.top - 2 * VERTICAL_PADDING * padding), leading,
    )  # fmt: skip
    lines = _place_lines(block, box, padding, leading, rtl=canvas.rtl)
    spacing, italic = face.spacing * block.em, style.get("italic", False)
    text_style = TextStyle(
        face.family, face.weight, face.language, block.em, style["color"], spacing, italic, fallback_weight
    )
    total = sum(len(_typing_units(text)) for text in block.lines)
    events: list[Event] = []
    for moment in list_moments(item, total, canvas):
        events += [
            replace(one, layer=one.layer + layer)
            for one in _draw_moment(moment, lines, block, text_style, style, canvas, box)
        ]
    return events


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Placed lines: the text's rectangle in pixels, and each line with its anchor."""

    left: float
    top: float
    right: float
    bottom: float
    lines: tuple[tuple[str, float, float], ...]


def _place_lines(block: TextBlock, box: Box, padding: float, leading: float, *, rtl: bool) -> TextLayout:
    top = {
        "top": box.top + VERTICAL_PADDING * padding,
        "middle": (box.top + box.bottom - block.height) / 2,
        "bottom": box.bottom - VERTICAL_PADDING * padding - block.height,
    }[box.down]
    left = (box.left + box.right - block.width) / 2
    if box.across == "left":
        left = box.right - padding - block.width if rtl else box.left + padding
    step = leading * block.em
    first = top + max(1.0, leading) * block.em / 2
    lines = tuple((text, left, first + index * step) for index, text in enumerate(block.lines))
    return TextLayout(left, top, left + block.width, top + block.height, lines)


def list_moments(item: Mapping[str, Any], units: int, canvas: Canvas) -> list[Moment]:
    """Return the text's look over the segment's frames, equal frames merged."""
    moments: list[Moment] = []
    first, last = max(0, item["start"]), min(canvas.frames, item["end"])
    for frame in range(first, last):
        opacity, drop, visible = _appearance(item, frame, units, canvas.fps)
        before = moments[-1] if moments else None
        if before and (before.opacity, before.drop, before.visible) == (opacity, drop, visible):
            moments[-1] = replace(before, end=frame + 1)
        else:
            moments.append(Moment(frame, frame + 1, opacity, drop, visible))
    return moments


def _appearance(item: Mapping[str, Any], frame: int, units: int, fps: int) -> tuple[float, float, int | None]:
    animation = item.get("animation", "none")
    if animation == "none":
        return 1.0, 0.0, None
    age, left = (frame - item["start"] + 1) / fps, (item["end"] - frame) / fps
    out = _ease(left / OUT_SECONDS) if item.get("out") else 1.0
    if animation == "type":
        seconds = min(units / TYPING_RATE, MAX_TYPING_SHARE * (item["end"] - item["start"]) / fps)
        visible = int(units * age / seconds) if age < seconds else None
        return out, 0.0, visible
    into = _ease(age / IN_SECONDS)
    return round(into * out, 4), (RISE_HEIGHT * (1 - into) if animation == "rise" else 0.0), None


def _ease(part: float) -> float:
    """Return the eased progress: fast at first, slowing towards the end."""
    return 1 - (1 - min(max(part, 0.0), 1.0)) ** 3


def _draw_moment(
    moment: Moment,
    lines: TextLayout,
    block: TextBlock,
    text_style: TextStyle,
    style: Mapping[str, Any],
    canvas: Canvas,
    box: Box,
) -> Iterator[Event]:
    drop = moment.drop * canvas.height
    for layer, drawing in enumerate(
        _draw_backing(lines, block.em, style, moment.opacity, drop, mirrored=canvas.rtl)
    ):
        yield Event(moment.start, moment.end, layer, drawing)
    remaining = moment.visible  # units left for this line and the next ones
    for text, _, middle in lines.lines:
        units = _typing_units(text)
        visible = None
        if remaining is not None:
            visible = sum(map(len, units[: max(remaining, 0)])) if remaining < len(units) else None
            remaining -= len(units)
        across = _anchor(lines, box, canvas)
        place = (across[0], middle + drop)
        yield Event(
            moment.start,
            moment.end,
            3,
            text_line(text, text_style, place, across[1], moment.opacity, visible),
        )


def _anchor(lines: TextLayout, box: Box, canvas: Canvas) -> tuple[float, int]:
    """Return x and the ASS anchor: middle left (4), centre (5) or middle right (6)."""
    if box.across == "center":
        return (lines.left + lines.right) / 2, 5
    return (lines.right, 6) if canvas.rtl else (lines.left, 4)


def _draw_backing(
    lines: TextLayout, em: float, style: Mapping[str, Any], opacity: float, drop: float, *, mirrored: bool
) -> Iterator[str]:
    """Yield the shapes behind a text: a box or a soft glow, and an accent at its leading edge if the style has one."""
    backing = style["backing"]
    pad = style["padding"] * em
    box = (
        lines.left - pad,
        lines.top - pad * VERTICAL_PADDING + drop,
        lines.right + pad,
        lines.bottom + pad * VERTICAL_PADDING + drop,
    )
    radius = backing.get("radius", 0.2) * em
    soft = backing["shape"] == "glow"
    yield rounded_box(
        box, em if soft else radius, backing["color"], backing["opacity"] * opacity, em * 0.5 if soft else 0.0
    )
    if accent := backing.get("accent"):
        thick = 0.14 * em
        edge = box[2] - thick if mirrored else box[0]
        yield rounded_box((edge, box[1], edge + thick, box[3]), 0, accent, opacity)


def _typing_units(text: str) -> list[str]:
    """Split a line into the units that are typed one by one: characters, or words of connected scripts."""
    if any(CONNECTED_SCRIPTS[0] <= ord(char) < CONNECTED_SCRIPTS[1] for char in text):
        return [f"{word} " for word in text.split(" ")]
    return split_clusters(text)
