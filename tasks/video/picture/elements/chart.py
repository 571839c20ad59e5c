"""Describes a bar chart in a segment's spec, and draws it: bars that grow when the scene begins, labels and values. Pure.

Frames count from the segment's first; the scene began `from` frames before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.video.picture.text.ass import Event, TextStyle, rounded_box, text_line
from tasks.video.picture.text.fitting import Face, fit_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shared.script.values import Bar, Visual
    from tasks.video.picture.text.canvas import Canvas

GROW_SECONDS = 0.9  # for one bar to grow
STAGGER_SECONDS = 0.12  # between the starts of two bars
PREFIX_UNITS = "$€£¥₹₩"  # units written before the number
DIMMED_OPACITY = 0.45  # opacity of the bars that are not highlighted
MIN_BAR = 0.004  # of the full length: a bar of value 0 stays visible


@dataclass(frozen=True, slots=True)
class ChartPlace:
    """The chart's box in parts of the frame, and the sizes of its text in parts of the short side."""

    left: float
    right: float
    top: float
    bottom: float
    title: float
    text: float


WIDE = ChartPlace(0.08, 0.92, 0.08, 0.92, 0.058, 0.042)
TALL = ChartPlace(0.06, 0.94, 0.12, 0.86, 0.068, 0.05)
# Tops below a label, below captions at the top, and below both; the bottom above captions.
WIDE_TOPS, WIDE_BOTTOM = {"label": 0.185, "top": 0.24, "both": 0.34}, 0.74
TALL_TOPS, TALL_BOTTOM = {"label": 0.13, "top": 0.22, "both": 0.28}, 0.70


def describe_chart(visual: Visual, theme_data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chart's part of a spec: its texts, each bar's length, and the theme's font and colours."""
    largest = max((bar.value for bar in visual.bars), default=0.0) or 1.0
    labels = {bar.label for bar in visual.bars}
    style, accent = theme_data["text"]["subtitle"], theme_data["captions"]["highlight"]
    return {
        "title": visual.title,
        "bars": [[bar.label, format_value(bar, visual.unit), bar.value / largest] for bar in visual.bars],
        "meant": [visual.highlight == bar.label or visual.highlight not in labels for bar in visual.bars],
        "font": style["font"],
        "weight": style["weight"],
        "color": style["color"],
        "ground": style["backing"]["color"],
        "accent": accent,
    }


def format_value(bar: Bar, unit: str) -> str:
    """Return a bar's value with its unit, with thousands separators and at most four decimals."""
    number = f"{bar.value:,.0f}" if bar.value.is_integer() else f"{bar.value:,.4f}".rstrip("0").rstrip(".")
    if not unit:
        return number
    if unit in PREFIX_UNITS:
        return unit + number
    return f"{number}{unit}" if unit.startswith(("%", "°")) else f"{number} {unit}"


def draw_chart(visual: Mapping[str, Any], canvas: Canvas) -> list[Event]:
    """Return all events of a visual's chart."""
    chart = visual["chart"]
    painter = _ChartPainter(chart, canvas, place_chart(chart.get("clear", ()), canvas))
    events = [_static_event(canvas, drawing) for drawing in (painter.panel(), *painter.title())]
    for index, (row, (label, value, part)) in enumerate(
        zip(painter.rows(len(chart["bars"])), chart["bars"], strict=True)
    ):
        events += [_static_event(canvas, drawing) for drawing in painter.label(label, row)]
        opacity = 1.0 if chart["meant"][index] else DIMMED_OPACITY
        for start, end, grown in bar_growth(index, visual.get("from", 0), canvas):
            length = max(MIN_BAR, part * grown)
            drawings = (painter.bar(row, length, opacity), *painter.value(value, row, length, grown))
            events += [Event(start, end, 0, drawing) for drawing in drawings]
    return events


def place_chart(clear: Sequence[str], canvas: Canvas) -> ChartPlace:
    """Return the chart's place, given what it must leave clear: `label`, `top` or `bottom` (captions)."""
    wide = canvas.width >= canvas.height
    place, tops, bottom = (WIDE, WIDE_TOPS, WIDE_BOTTOM) if wide else (TALL, TALL_TOPS, TALL_BOTTOM)
    above = [name for name in ("label", "top") if name in clear]
    if above:
        place = replace(place, top=tops["both" if len(above) > 1 else above[0]])
    return replace(place, bottom=bottom) if "bottom" in clear else place


def _static_event(canvas: Canvas, drawing: str) -> Event:
    return Event(0, canvas.frames, 0, drawing)


def bar_growth(index: int, first: int, canvas: Canvas) -> Iterator[tuple[int, int, float]]:
    """Yield how far a bar has grown, as (first frame, frame after the last, part of 1), equal frames merged."""
    for frame in range(canvas.frames):
        age = (first + frame + 1) / canvas.fps - index * STAGGER_SECONDS
        if age >= GROW_SECONDS:
            yield frame, canvas.frames, 1.0
            return
        if age > 0:
            yield frame, frame + 1, 1 - (1 - age / GROW_SECONDS) ** 3


@dataclass(frozen=True, slots=True)
class Row:
    """A bar's row in pixels: its label's box, and the bar's bounds."""

    label: tuple[float, float, float, float]
    start: float
    end: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class _ChartPainter:
    """Draws one chart on one canvas."""

    chart: Mapping[str, Any]
    canvas: Canvas
    place: ChartPlace

    @property
    def box(self) -> tuple[float, float, float, float]:
        wide, high = self.canvas.width, self.canvas.height
        return (
            self.place.left * wide,
            self.place.top * high,
            self.place.right * wide,
            self.place.bottom * high,
        )

    @property
    def em(self) -> float:
        return self.place.text * self.canvas.short

    def panel(self) -> str:
        return rounded_box(self.box, 0.5 * self.em, self.chart["ground"], 0.82)

    def title(self) -> list[str]:
        if not self.chart["title"]:
            return []
        left, top, right, _ = self.box
        em = self.place.title * self.canvas.short
        box = (left + self.em, top + 0.7 * self.em, right - self.em, top + 0.7 * self.em + 2 * em)
        return self._text(self.chart["title"], box, em, bold=True)

    def rows(self, number: int) -> Iterator[Row]:
        """Divide the panel into rows. Labels are left of the bars on a wide picture, above them on a tall one."""
        left, top, right, bottom = self.box
        above = 2.4 * self.place.title * self.canvas.short if self.chart["title"] else 0.0
        left, right, top, bottom = left + self.em, right - self.em, top + self.em + above, bottom - self.em
        step = (bottom - top) / number
        wide = self.canvas.width >= self.canvas.height
        values = max(self._face(bold=True).width(value) for _, value, _ in self.chart["bars"]) * self.em * 1.1
        for index in range(number):
            at = top + index * step
            if wide:
                middle = left + 0.26 * (right - left)
                label = (left, at, middle - 0.6 * self.em, at + step)
                yield Row(label, middle, right - values, at + 0.16 * step, at + 0.84 * step)
            else:
                label = (left, at, right, at + 0.46 * step)
                yield Row(label, left, right - values, at + 0.5 * step, at + 0.92 * step)

    def label(self, text: str, row: Row) -> list[str]:
        return self._text(text, row.label, self.em, bold=False)

    def bar(self, row: Row, part: float, opacity: float) -> str:
        end = row.start + part * (row.end - row.start - 0.5 * self.em)
        box = self._turned((row.start, row.top, end, row.bottom))
        return rounded_box(
            box, min(0.22 * self.em, 0.2 * (row.bottom - row.top)), self.chart["accent"], opacity
        )

    def value(self, text: str, row: Row, part: float, grown: float) -> list[str]:
        start = row.start + part * (row.end - row.start - 0.5 * self.em) + 0.4 * self.em
        box = (start, row.top, self.box[2] - 0.3 * self.em, row.bottom)
        return self._text(text, box, self.em, bold=True, opacity=grown)

    def _text(
        self,
        text: str,
        box: tuple[float, float, float, float],
        em: float,
        *,
        bold: bool,
        opacity: float = 1.0,
    ) -> list[str]:
        """Return the lines of a text at the leading edge of a box, as large as fits."""
        left, top, right, bottom = box
        face = self._face(bold=bold)
        size = min(em, 0.9 * (bottom - top))
        block = fit_text(text, face, size, (right - left, bottom - top), 1.1)
        text_style = TextStyle(face.family, face.weight, face.language, block.em, self.chart["color"])
        middle, step = (top + bottom) / 2, 1.1 * block.em
        first = middle - step * (len(block.lines) - 1) / 2
        across = self.canvas.width - left if self.canvas.rtl else left
        anchor = 6 if self.canvas.rtl else 4
        return [
            text_line(part, text_style, (across, first + index * step), anchor, opacity)
            for index, part in enumerate(block.lines)
        ]

    def _face(self, *, bold: bool) -> Face:
        weight = min(800, self.chart["weight"] + 200) if bold else self.chart["weight"]
        return Face(self.chart["font"], weight, self.canvas.language)

    def _turned(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return the box, mirrored if the language is right-to-left."""
        if not self.canvas.rtl:
            return box
        return self.canvas.width - box[2], box[1], self.canvas.width - box[0], box[3]
