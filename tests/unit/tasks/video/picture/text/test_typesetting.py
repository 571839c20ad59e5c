from __future__ import annotations

import re

import pytest

from shared.themes import theme_names
from tasks.video.picture.text.boxes import resolve_box
from tasks.video.picture.text.canvas import Canvas
from tasks.video.picture.text.typesetting import draw_texts, list_moments
from tasks.video.picture.theme import load_theme

CANVAS = Canvas(1920, 1080, 30, 90, "en")
STYLES = load_theme("slate")["text"]


def item(**fields):
    return {"text": "How a reef is born", "role": "title", "start": 0, "end": 90, **fields}


def test_a_static_text_is_one_event():
    assert len(list_moments(item(), 10, CANVAS)) == 1


def test_a_fade_settles_and_then_stays():
    found = list_moments(item(animation="fade"), 10, CANVAS)

    assert found[0].opacity < 0.25
    assert found[-1].opacity == 1.0
    assert found[-1].end == 90
    assert [one.opacity for one in found] == sorted(one.opacity for one in found)


def test_a_text_that_ends_before_its_scene_fades_out_too():
    found = list_moments(item(animation="fade", end=60, out=True), 10, CANVAS)

    assert found[-1].end == 60
    assert found[-1].opacity < 0.3


def test_a_rise_comes_from_below_to_its_place():
    drops = [one.drop for one in list_moments(item(animation="rise"), 10, CANVAS)]

    assert drops[0] > 0.03
    assert drops[-1] == 0.0
    assert drops == sorted(drops, reverse=True)


def test_typing_shows_more_and_more_and_then_all():
    shown = [one.visible for one in list_moments(item(animation="type"), 18, CANVAS)]

    assert shown[-1] is None
    assert shown[:-1] == sorted(shown[:-1])
    assert shown[0] <= 2


def test_an_animation_continues_where_the_segment_before_left_it():
    whole = list_moments(item(animation="rise"), 10, CANVAS)
    later = list_moments(item(animation="rise", start=-5, end=85), 10, CANVAS)

    assert (later[0].opacity, later[0].drop) == (whole[5].opacity, whole[5].drop)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (1080, 1080), (2520, 1080)])
@pytest.mark.parametrize("role", ["title", "subtitle", "lower_third", "quote", "label"])
def test_a_long_text_stays_in_the_title_safe_area(size, role):
    canvas = Canvas(*size, 30, 30, "en")

    found = draw_texts([item(text="An endless text of many words. " * 12, role=role, end=30)], STYLES, canvas)

    numbers = re.findall(r"-?\d+\.\d", next(one.text for one in found).split("}")[1])
    xs, ys = [float(one) for one in numbers[::2]], [float(one) for one in numbers[1::2]]
    assert min(xs) >= 0.05 * size[0]
    assert max(xs) <= 0.95 * size[0]
    assert min(ys) >= 0.05 * size[1]
    assert max(ys) <= 0.95 * size[1]


def test_right_to_left_languages_are_mirrored():
    arabic = Canvas(1920, 1080, 30, 30, "ar")

    found = draw_texts([item(text="د. آدا كورال", role="lower_third", end=30)], STYLES, arabic)

    assert any("\\an6" in one.text for one in found)
    assert all("\\an4" not in one.text for one in found)
    places = [float(x) for one in found for x in re.findall(r"\\an6\\pos\((\d+\.\d+)", one.text)]
    assert min(places) > 0.8 * 1920


def test_a_later_text_lies_above_an_earlier_one():
    found = draw_texts([item(), item(text="Second", role="label")], STYLES, CANVAS)

    first = max(one.layer for one in found if "reef" in one.text)
    second = min(one.layer for one in found if "SECOND" in one.text)
    assert second > first


def _font_sizes(found):
    return [float(size) for event in found for size in re.findall(r"\\fs([0-9.]+)", event.text)]


@pytest.mark.parametrize("theme", theme_names())
@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 360)])
@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"role": "quote", "place": "apart", "band": "upper"}, id="quote beside a subtitle"),
        pytest.param({"role": "subtitle", "place": "apart", "band": "upper"}, id="subtitle beside a quote"),
        pytest.param({"role": "label", "part": [19, 20]}, id="the last of twenty labels"),
        pytest.param({"role": "title", "part": [0, 20], "band": "upper"}, id="the first of twenty titles"),
    ],
)
def test_a_text_keeps_a_size_in_the_lowest_box(theme, size, place):
    canvas = Canvas(*size, 30, 90, "en")
    placed = item(text="What a reef is, in the words of those who live there", **place)

    found = draw_texts([placed], load_theme(theme)["text"], canvas)

    box = resolve_box(placed, canvas)
    assert min(_font_sizes(found)) > 0.05 * (box.bottom - box.top)
