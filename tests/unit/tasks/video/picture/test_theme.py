from __future__ import annotations

import pytest

from shared.themes import theme_names
from tasks.video.picture.text import fonts
from tasks.video.picture.text.boxes import TALL, WIDE
from tasks.video.picture.theme import MIN_CONTRAST, contrast_ratio, load_theme

ROLES = ("title", "subtitle", "lower_third", "quote", "label")


def styles(name: str):
    look = load_theme(name)
    yield from ((role, look["text"][role]) for role in ROLES)
    yield "captions", look["captions"]


def test_there_are_several_themes():
    assert len(theme_names()) >= 6
    assert "slate" in theme_names()


@pytest.mark.parametrize("name", theme_names())
def test_every_text_stands_out_from_its_backing_over_any_picture(name):
    for role, style in styles(name):
        backing = style["backing"]
        for color in filter(None, (style["color"], style.get("highlight"))):
            found = contrast_ratio(color, backing["color"], backing["opacity"])
            assert found >= MIN_CONTRAST, f"{role}: {found:.2f}"


@pytest.mark.parametrize("name", theme_names())
def test_every_font_of_a_theme_is_installed(name):
    for _, style in styles(name):
        assert fonts.line_ratio(style["font"]) > 1


@pytest.mark.parametrize("name", theme_names())
def test_a_theme_has_a_name_and_a_description(name):
    look = load_theme(name)

    assert look["title"]
    assert look["description"].endswith(".")
    assert 2 <= len(look["background"]["colors"]) <= 4


@pytest.mark.parametrize("boxes", [WIDE, TALL], ids=["wide", "tall"])
def test_every_role_stays_in_the_title_safe_area(boxes):
    for box in boxes.values():
        assert min(box.left, box.top, 1 - box.right, 1 - box.bottom) >= 0.05


def test_contrast_is_that_of_the_web_guidelines():
    assert contrast_ratio("#ffffff", "#000000") == pytest.approx(21)
    assert contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast_ratio("#ffffff", "#000000", 0.5) < MIN_CONTRAST  # over white it is grey
