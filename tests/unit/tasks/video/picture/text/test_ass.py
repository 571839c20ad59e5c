from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.video.picture.text.ass import (
    Event,
    TextStyle,
    ass_alpha,
    ass_color,
    escape,
    rounded_box,
    styled_text,
    text_line,
    to_document,
)

PEN = TextStyle("Inter", 700, "en", 48.0, "#ffffff")


@pytest.mark.parametrize(
    "text", ["{\\pos(0,0)}", "a\\Nb", "\\h\\n\\N", "}{", "\\", "{", "\\{\\}", "line\nDialogue: 0,0"]
)
def test_no_override_survives_in_a_text(text):
    made = escape(text)

    assert "\n" not in made
    assert not re.search(r"(?<!\\)\{", made)
    assert not re.search(r"\\(?![{}\u2060])", made)


@given(st.text())
def test_every_brace_and_backslash_of_any_text_is_harmless(text):
    made = escape(text)

    assert not re.search(r"(?<!\\)[{}]", made)
    assert not re.search(r"\\(?![{}\u2060])", made)
    assert not set(made) & {"\n", "\r"}


def test_a_frame_begins_between_its_stamp_and_the_one_before():
    events = [Event(start, start + 1, 0, "x") for start in range(200)]

    for fps in (24, 25, 30, 50, 60):
        made = re.findall(
            r"Dialogue: 0,0:(\d\d):(\d\d\.\d\d),0:(\d\d):(\d\d\.\d\d)", to_document(events, (640, 360), fps)
        )
        for frame, (minute, second, _, end) in enumerate(made):
            assert int(minute) * 60 + float(second) <= frame / fps
            assert int(minute) * 60 + float(second) > (frame - 1) / fps
            assert float(end) % 60 > frame / fps % 60 or frame == 0


def test_each_script_is_drawn_by_its_own_font_at_the_same_em():
    made = styled_text("Reef 珊瑚 شعاب", PEN)

    sizes = dict(re.findall(r"\\fn([\w ]+)\\fs([\d.]+)", made))
    assert set(sizes) == {"Inter", "Noto Sans SC", "Noto Sans Arabic"}
    assert float(sizes["Noto Sans Arabic"]) > float(
        sizes["Inter"]
    )  # its ascent and descent are a larger part


def test_only_the_typed_part_of_a_line_is_visible():
    made = text_line("abcdef", PEN, (10, 20), 5, 1.0, visible=2)

    before, after = made.split("{\\1a&HFF&}")
    assert before.endswith("ab")
    assert after.endswith("cdef")


def test_italics_are_left_to_fonts_that_have_them():
    made = styled_text("Reef 珊瑚", TextStyle("Source Serif 4", 500, "zh", 48.0, "#ffffff", italic=True))

    assert re.findall(r"\\fn([\w ]+)\\fs[\d.]+\\b\d+\\i(\d)", made) == [
        ("Source Serif 4", "1"),
        ("Noto Sans SC", "0"),
    ]


def test_colours_are_blue_first_and_alpha_is_transparency():
    assert ass_color("#0a1b2c") == "&H2C1B0A&"
    assert (ass_alpha(1.0), ass_alpha(0.0), ass_alpha(0.5)) == ("&H00&", "&HFF&", "&H80&")


def test_corners_never_exceed_their_rectangle():
    made = rounded_box((0, 0, 100, 20), 500, "#000000", 1.0)

    numbers = [float(number) for number in re.findall(r"-?\d+\.\d", made.split("}")[1])]
    assert min(numbers) >= 0
    assert max(numbers) <= 100
