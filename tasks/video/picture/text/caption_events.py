"""Draws burnt-in captions: each cue on one backing, and in the `words` style with the spoken word highlighted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.video.picture.text.ass import Event, TextStyle, ass_color, rounded_box, styled_text, text_line
from tasks.video.picture.text.fitting import Face, TextBlock, fit_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.video.picture.text.canvas import Canvas

# The outer edge of a block in parts of the frame's height. On tall frames, players cover the lower part with controls.
BOTTOM = {"wide": 0.93, "tall": 0.83}
TOP = {"wide": 0.07, "tall": 0.10}
MAX_WIDTH = 0.86  # of the frame's width, backing included
LAYER = 1000


def draw_captions(captions: Mapping[str, Any], style: Mapping[str, Any], canvas: Canvas) -> list[Event]:
    """Return the events of all cues."""
    return [event for cue in captions["cues"] for event in _draw_cue(cue, captions, style, canvas)]


def _draw_cue(
    cue: Mapping[str, Any], captions: Mapping[str, Any], style: Mapping[str, Any], canvas: Canvas
) -> Iterator[Event]:
    start, end = max(0, cue["start"]), min(canvas.frames, cue["end"])
    face = Face(style["font"], style["weight"], canvas.language)
    em = style["size"] * canvas.short
    leading = style.get("leading", 1.25)
    max_width = MAX_WIDTH * canvas.width - 2 * style["padding"] * em
    block = fit_lines(cue["lines"], face, em, max_width, leading)
    top = _block_top(block, captions["position"], style, canvas)
    text_style = TextStyle(face.family, face.weight, face.language, block.em, style["color"])
    backing = style["backing"]
    pad = style["padding"] * block.em
    middle = canvas.width / 2
    box = (
        middle - block.width / 2 - pad,
        top - pad * 0.45,
        middle + block.width / 2 + pad,
        top + block.height + pad * 0.45,
    )
    fill = rounded_box(box, backing.get("radius", 0.25) * block.em, backing["color"], backing["opacity"])
    yield Event(start, end, LAYER, fill)
    for index, text in enumerate(block.lines):
        place = (middle, top + leading * block.em * (index + 0.5))
        yield Event(start, end, LAYER + 1, text_line(text, text_style, place, 5, 1.0))
        for word in _word_spans(cue, index, text, start, end):
            highlighted = _highlight_word(text, word, text_style, style["highlight"])
            yield Event(word[0], word[1], LAYER + 2, text_line("", text_style, place, 5, 1.0) + highlighted)


def _block_top(block: TextBlock, position: str, style: Mapping[str, Any], canvas: Canvas) -> float:
    kind = "wide" if canvas.width > canvas.height else "tall"
    pad = float(style["padding"]) * block.em * 0.45
    if position == "top":
        return TOP[kind] * canvas.height + pad
    if position == "middle":
        return (canvas.height - block.height) / 2
    return BOTTOM[kind] * canvas.height - pad - block.height


def _word_spans(
    cue: Mapping[str, Any], index: int, text: str, first: int, last: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield each word of a line as (first frame, frame after the last, start, end), its offsets in the line."""
    at = 0
    for start, end, number, word in cue.get("words", ()):
        if number != index:
            continue
        position = text.find(word, at)
        if position < 0:
            continue
        at = position + len(word)
        if max(first, start) < min(last, end):
            yield max(first, start), min(last, end), position, at


def _highlight_word(text: str, word: tuple[int, int, int, int], text_style: TextStyle, highlight: str) -> str:
    """Return the line again with one word highlighted and the rest invisible, so that it lies exactly on the line below."""
    hidden, visible = "{\\1a&HFF&}", f"{{\\1a&H00&\\1c{ass_color(highlight)}}}"
    before, highlighted, after = text[: word[2]], text[word[2] : word[3]], text[word[3] :]
    return (
        hidden
        + styled_text(before, text_style)
        + visible
        + styled_text(highlighted, text_style)
        + hidden
        + styled_text(after, text_style)
    )
