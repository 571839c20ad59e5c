from __future__ import annotations

import pytest
from fontTools.ttLib import TTFont

from tasks.video.picture.text import fonts, opentype


def drawn(text):
    return [(run.text, run.family) for run in fonts.split_runs(text, "Inter", "en")]


def test_a_space_after_an_emoji_is_as_wide_as_any_other():
    assert drawn("🐠 🐙!") == [
        ("🐠", "Noto Emoji"), (" ", "Inter"), ("🐙", "Noto Emoji"), ("!", "Inter"),
    ]  # fmt: skip
    alone = fonts.text_width("🐠", "Inter", 700, "en", 700) + fonts.text_width("🐙", "Inter", 700, "en", 700)
    assert fonts.text_width("🐠 🐙", "Inter", 700, "en", 700) - alone < 0.4


@pytest.mark.parametrize("text", ["1️⃣", "#⃣", "❤️", "▶️", "⭐", "⏰", "👨‍👩‍👧‍👦", "👍🏽", "🇩🇪"])  # fmt: skip
def test_what_is_shown_as_a_picture_is_drawn_by_one_font(text):
    assert drawn(text) == [(text, "Noto Emoji")]


def test_digits_and_signs_that_ask_for_no_picture_stay_letters():
    assert drawn("1 © → 2") == [("1 © → 2", "Inter")]


def test_marks_that_a_font_lacks_take_no_width():
    plain, marked = (fonts.text_width(text, "Fjalla One", 400, "en", 400) for text in ("Za", "Z͓͎a"))

    assert marked == pytest.approx(plain)


def test_a_font_says_which_characters_it_draws():
    assert opentype.covers(fonts.font_file("Inter"), ord("é"))
    assert opentype.covers(fonts.font_file("Noto Sans JP"), ord("礁"))
    assert not opentype.covers(fonts.font_file("Inter"), ord("礁"))
    assert not opentype.covers(fonts.font_file("Noto Emoji"), ord("a"))


@pytest.mark.parametrize("family", ["Inter", "Noto Emoji", "Noto Sans Thai", "Fjalla One"])
def test_coverage_is_exactly_the_fonts_own_character_map(family):
    path = fonts.font_file(family)
    with TTFont(path) as font:
        codes = set(font["cmap"].getBestCmap())

    neighbours = {code + step for code in codes for step in (-1, 0, 1)}
    assert {code for code in neighbours if opentype.covers(path, code)} == codes


def test_a_lines_height_is_the_windows_ascent_and_descent_in_ems():
    assert opentype.line_ratio(fonts.font_file("Inter")) == pytest.approx(1.43018, abs=1e-5)
