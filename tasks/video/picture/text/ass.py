"""Writes Advanced SubStation (ASS), the format in which text and shapes reach ffmpeg's libass; all text is escaped. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.video.picture.text import fonts

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = """[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
LayoutResX: {width}
LayoutResY: {height}
WrapStyle: 2
ScaledBorderAndShadow: yes
YCbCr Matrix: TV.709

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, \
MarginV, Encoding
Style: Default,Inter,48,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,0,0,7,0,0,0,-1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
# Without these, a client's text could start an override or an escape; the word joiner is invisible.
ESCAPES = str.maketrans({"\\": "\\⁠", "{": "\\{", "}": "\\}", "\n": " ", "\r": " "})
BEZIER_CIRCLE = 0.5523  # of the radius: the handles of a Bézier curve that draws a quarter of a circle


@dataclass(frozen=True, slots=True)
class Event:
    """A text or shape in ASS markup, shown from frame `start` up to frame `end`. Higher layers are on top."""

    start: int
    end: int
    layer: int
    text: str


@dataclass(frozen=True, slots=True)
class TextStyle:
    """A text's font, colour and size. `em` and `spacing` in pixels."""

    family: str
    weight: int
    language: str
    em: float
    color: str
    spacing: float = 0.0
    italic: bool = False
    fallback_weight: int = 0  # the weight of scripts that the family does not draw; 0: the same


def to_document(events: Iterable[Event], size: tuple[int, int], fps: int) -> str:
    """Return a whole ASS file. Events start half a frame early, so that rounded times never miss their frame."""
    head = HEADER.format(width=size[0], height=size[1])
    lines = [
        f"Dialogue: {one.layer},{_format_time(one.start, fps)},{_format_time(one.end, fps)},Default,,0,0,0,,{one.text}"
        for one in events
    ]
    return head + "\n".join(lines) + "\n"


def text_line(
    text: str,
    text_style: TextStyle,
    place: tuple[float, float],
    anchor: int,
    opacity: float,
    visible: int | None = None,
) -> str:
    """Return a line of text at a place. With `visible`, only that many characters are visible; the others keep their space."""
    start = (
        f"{{\\an{anchor}\\pos({place[0]:.2f},{place[1]:.2f})"
        f"\\fsp{text_style.spacing:.2f}\\1c{ass_color(text_style.color)}\\1a{ass_alpha(opacity)}}}"
    )
    if visible is None:
        return start + styled_text(text, text_style)
    return (
        start
        + styled_text(text[:visible], text_style)
        + "{\\1a&HFF&}"
        + styled_text(text[visible:], text_style)
    )


def styled_text(text: str, text_style: TextStyle) -> str:
    """Return the escaped text, each run in its font and at the same em."""
    return "".join(
        _styled_run(run, text_style, own=run.family == text_style.family)
        for run in fonts.split_runs(text, text_style.family, text_style.language)
    )


def _styled_run(run: fonts.Run, text_style: TextStyle, *, own: bool) -> str:
    weight = text_style.weight if own else text_style.fallback_weight or text_style.weight
    size = text_style.em * fonts.line_ratio(run.family)
    # Scripts without italics, such as Chinese, would be slanted artificially.
    return (
        f"{{\\fn{run.family}\\fs{size:.2f}\\b{weight}\\i{int(text_style.italic and own)}}}{escape(run.text)}"
    )


def escape(text: str) -> str:
    """Return the text with everything escaped that libass would read as markup."""
    return text.translate(ESCAPES)


def rounded_box(
    box: tuple[float, float, float, float], radius: float, fill: str, opacity: float, blur: float = 0.0
) -> str:
    """Return a filled rectangle with rounded corners. `box` is (left, top, right, bottom) in pixels."""
    left, top, right, bottom = box
    r = max(0.0, min(radius, (right - left) / 2, (bottom - top) / 2))
    k = r * (1 - BEZIER_CIRCLE)
    path = (
        f"m {left + r:.1f} {top:.1f} l {right - r:.1f} {top:.1f} "
        f"b {right - k:.1f} {top:.1f} {right:.1f} {top + k:.1f} {right:.1f} {top + r:.1f} "
        f"l {right:.1f} {bottom - r:.1f} "
        f"b {right:.1f} {bottom - k:.1f} {right - k:.1f} {bottom:.1f} {right - r:.1f} {bottom:.1f} "
        f"l {left + r:.1f} {bottom:.1f} "
        f"b {left + k:.1f} {bottom:.1f} {left:.1f} {bottom - k:.1f} {left:.1f} {bottom - r:.1f} "
        f"l {left:.1f} {top + r:.1f} "
        f"b {left:.1f} {top + k:.1f} {left + k:.1f} {top:.1f} {left + r:.1f} {top:.1f}"
    )
    soft = f"\\blur{blur:.1f}" if blur else ""
    return f"{{\\an7\\pos(0,0)\\1c{ass_color(fill)}\\1a{ass_alpha(opacity)}{soft}\\p1}}{path}{{\\p0}}"


def ass_color(rgb: str) -> str:
    """Return `#rrggbb` in ASS notation, which puts blue first."""
    return f"&H{rgb[5:7]}{rgb[3:5]}{rgb[1:3]}&".upper()


def ass_alpha(opacity: float) -> str:
    """Return an opacity of 0 to 1 in ASS notation, where 00 is opaque."""
    return f"&H{round(255 * (1 - min(max(opacity, 0.0), 1.0))):02X}&"


def _format_time(frame: int, fps: int) -> str:
    hundredths = max(0, round(100 * (frame - 0.5) / fps))
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"
