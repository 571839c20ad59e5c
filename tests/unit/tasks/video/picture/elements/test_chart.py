from __future__ import annotations

import re

import pytest

from shared.script.values import Bar, Visual
from tasks.video.picture.elements import chart
from tasks.video.picture.text.canvas import Canvas
from tasks.video.picture.theme import load_theme
from tasks.video.plan import visual_specs

WIDE = Canvas(1280, 720, 25, 100, "en")
LOOK = load_theme("slate")


def spec(*bars: tuple[str, float], first: int = 0, **members: str) -> dict:
    visual = Visual("chart", bars=tuple(Bar(label, float(value)) for label, value in bars), **members)
    return visual_specs.limit_to_span(visual_specs.describe_visual(visual, {}, LOOK), first, 100)


def boxes(found: list, frame: int) -> list[tuple[float, float]]:
    """Return the left and right edge of each shape that is on a frame, the panel first."""
    shapes = [one.text for one in found if one.start <= frame < one.end and "\\p1" in one.text]
    edges = [[float(x) for x in re.findall(r"(-?\d+\.\d) -?\d+\.\d", text)] for text in shapes]
    return [(min(each), max(each)) for each in edges]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234567.0, "", "1,234,567"), (12.5, "%", "12.5%"), (0.1 + 0.2, "km", "0.3 km"), (99.9, "€", "€99.9"),
        (21.0, "°C", "21°C"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_people_read_it(value, unit, text):
    assert chart.format_value(Bar("x", value), unit) == text


def test_bars_are_as_long_as_their_values():
    _, longest, half, none = boxes(chart.draw_chart(spec(("a", 10), ("b", 5), ("c", 0)), WIDE), 99)

    assert half[1] - half[0] == pytest.approx((longest[1] - longest[0]) / 2, rel=0.01)
    assert none[1] - none[0] < 5


def test_bars_grow_one_after_the_other_and_then_stay():
    found = chart.draw_chart(spec(("a", 10), ("b", 10)), WIDE)
    ends = [[right for _, right in boxes(found, frame)[1:]] for frame in range(100)]

    assert len(ends[0]) == 1
    assert ends[8][0] > ends[8][1]
    assert ends[40] == ends[99]
    assert [each[0] for each in ends] == sorted(each[0] for each in ends)


def test_a_later_segment_continues_where_the_one_before_ended():
    whole = chart.draw_chart(spec(("a", 10), ("b", 7)), WIDE)
    later = chart.draw_chart(spec(("a", 10), ("b", 7), first=9), WIDE)

    assert boxes(later, 0) == boxes(whole, 9)


def test_the_highlighted_bar_stands_out():
    found = chart.draw_chart(spec(("a", 10), ("b", 7), highlight="b"), WIDE)
    alphas = [
        re.search(r"\\1a(&H..&)", one.text)[1] for one in found if one.end == 100 and "\\p1" in one.text
    ]

    assert alphas[1] != "&H00&"
    assert alphas[2] == "&H00&"


def test_nothing_leaves_the_panel_however_long_it_is():
    found = chart.draw_chart(spec(("w" * 60, 10), ("b", 10**15), title="w" * 120, unit="w" * 12), WIDE)
    (left, right), *bars = boxes(found, 99)
    places = [float(x) for one in found for x in re.findall(r"\\an4\\pos\((-?[\d.]+),", one.text)]

    assert all(left < at < right for at in [*places, *(edge for bar in bars for edge in bar)])


def test_texts_of_a_chart_are_escaped():
    found = chart.draw_chart(spec(("{\\pos(0,0)}", 1), title="{\\b0}"), WIDE)

    assert not any("{\\pos(0,0)}" in one.text or "{\\b0}" in one.text for one in found)


def test_bars_start_on_the_right_in_right_to_left_languages():
    found = chart.draw_chart(spec(("א", 10), ("ב", 5)), Canvas(1280, 720, 25, 100, "he"))
    _, longest, half = boxes(found, 99)

    assert longest[1] == half[1]
    assert half[0] > longest[0]
