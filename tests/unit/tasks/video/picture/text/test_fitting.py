from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.video.picture.text.fitting import MIN_EM, Face, TextBlock, fit_lines, fit_text, split_clusters

FACE = Face("Inter", 700, "en")
BOX = (800.0, 300.0)
LEADING = 1.2


def test_a_short_text_keeps_its_size():
    block = fit_text("How a reef is born", FACE, 80, BOX, LEADING)

    assert block.lines == ("How a reef is born",)
    assert block.em == 80


def test_lines_are_about_equally_long():
    block = fit_text("A title that does not fit into a single line here", FACE, 70, BOX, LEADING)

    widths = [FACE.width(text) for text in block.lines]
    assert len(widths) > 1
    assert max(widths) < 1.6 * min(widths)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 200, id="many words"),
        pytest.param("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 5, id="one endless word"),
        pytest.param("珊瑚礁是如何诞生的" * 20, id="no spaces"),
        pytest.param("ปะการังเติบโตปีละหนึ่งเซนติเมตร" * 10, id="Thai"),
        pytest.param("\n".join("abcdefgh"), id="many lines"),
        pytest.param("😀" * 300, id="emoji"),
        pytest.param("   ", id="nothing but spaces"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_text_shrinks_until_nothing_is_cut_off(text):
    block = fit_text(text, FACE, 90, BOX, LEADING)

    assert block.width <= BOX[0] + 1e-6
    assert block.height <= BOX[1] + 1e-6
    assert "".join(block.lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=120))
def test_no_text_of_any_characters_escapes_its_box(text):
    block = fit_text(text, FACE, 60, (300.0, 120.0), LEADING)

    assert block.width <= 300.0 + 1e-6
    assert block.height <= 120.0 + 1e-6


class CountedFace(Face):
    """A face that counts how often a width is asked for: the one thing that fitting spends time on."""

    asked = 0

    def width(self, text: str) -> float:
        CountedFace.asked += 1
        return super().width(text)


def _fit_counted(text: str, em: float, box: tuple[float, float]) -> TextBlock:
    CountedFace.asked = 0
    return fit_text(text, CountedFace("Inter", 700, "en"), em, box, LEADING)


@settings(deadline=None, max_examples=200)
@given(
    st.text(max_size=40),
    st.floats(-10, 400) | st.sampled_from([0.0, float("nan"), 1e-300]),
    st.tuples(*[st.floats(-50, 400) | st.sampled_from([0.0, 1e-300, float("nan"), float("inf")])] * 2),
)
def test_fitting_ends_whatever_the_box_and_the_size(text, em, box):
    block = _fit_counted(text, em, box)

    sizes = 100  # 400 pixels shrink to one in 97 steps
    assert CountedFace.asked <= sizes * 4 * (len(text) + 1)
    assert block.em >= MIN_EM
    fits = block.width <= box[0] + 1e-6 and block.height <= box[1] + 1e-6
    assert fits or block.em == MIN_EM


@pytest.mark.parametrize("wide", [-100.0, 0.0])
def test_given_lines_keep_a_size_where_there_is_no_width(wide):
    assert fit_lines(("a line",), FACE, 60, wide, LEADING).em == MIN_EM


def test_lines_break_where_a_reader_of_the_script_expects_it():
    block = fit_text(
        "海のいきもの。「サンゴ」のはなし、はじまりはじまり。", FACE, 60, (420.0, 400.0), LEADING
    )

    assert len(block.lines) > 1
    assert all(text[0] not in "。、」" for text in block.lines)
    assert all(text[-1] != "「" for text in block.lines)


def test_line_ends_in_the_text_are_kept():
    assert fit_text("Dr. Ada Corall\r\nMarine biologist", FACE, 40, BOX, LEADING).lines == (
        "Dr. Ada Corall",
        "Marine biologist",
    )


@pytest.mark.parametrize("end", ["\r", "\r\n", "\u2028", "\u2029"])
def test_every_kind_of_line_end_is_one(end):
    block = fit_text(f"first{end}second", FACE, 60, (600.0, 300.0), LEADING)

    assert block.lines == ("first", "second")


def test_marks_and_joined_emoji_stay_with_their_base():
    assert split_clusters("é👩‍🚀हि") == ["é", "👩‍🚀", "हि"]


def test_given_lines_shrink_to_the_width():
    block = fit_lines(("a line that is rather long for its room", "short"), FACE, 60, 500, LEADING)

    assert block.em < 60
    assert block.width <= 500 + 1e-6
