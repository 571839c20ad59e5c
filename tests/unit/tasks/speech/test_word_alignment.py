"""Words are the text's, whatever the engine makes of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.speech.engine import WordTime
from tasks.speech.word_alignment import align_words, split_words


def texts(text: str) -> list[str]:
    return [text[begin:end] for begin, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, “world”!", ["Hello,", "“world”!"]),
        ("reef — and 🎉 sea", ["reef —", "and 🎉", "sea"]),
        ("— reef", ["— reef"]),
        ("你好,世界。", ["你", "好,", "世", "界。"]),
        ("iPhone手机 ok", ["iPhone", "手", "机", "ok"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("   ", []),
    ],
)
def test_a_text_is_split_as_people_see_words(text, words):
    assert texts(text) == words


def test_several_events_inside_a_word_are_merged():
    words = align_words(
        "1,234 dollars", [WordTime(0, 0.0, 0.3), WordTime(2, 0.3, 0.9), WordTime(6, 1.0, 1.4)], 1.5
    )

    assert [(word.text, word.start, word.end) for word in words] == [
        ("1,234", 0.0, 0.9),
        ("dollars", 1.0, 1.4),
    ]


def test_words_without_an_event_share_the_time_of_the_word_before():
    words = align_words("aa bb cc", [WordTime(0, 0.0, 1.0), WordTime(6, 1.0, 2.0)], 2.0)

    assert [(word.start, word.end) for word in words] == [(0.0, 0.5), (0.5, 1.0), (1.0, 2.0)]


def test_words_without_any_event_share_the_time_by_their_length():
    words = align_words("a bbb", [], 4.0)

    assert [(word.start, word.end) for word in words] == [(0.0, 1.0), (1.0, 4.0)]


@settings(deadline=None)
@given(
    st.text(max_size=80),
    st.lists(st.tuples(st.integers(0, 90), st.floats(0, 9), st.floats(0, 1)), max_size=20),
)
@example("0 0 0", [(0, 0.0, 1.0), (4, 0.0, 0.0)])
def test_words_are_ordered_and_cover_the_text_for_any_events(text, events):
    words = align_words(
        text, [WordTime(place, start, start + length) for place, start, length in events], 10.0
    )

    assert "".join("".join(word.text.split()) for word in words) == "".join(text.split())
    assert all(text[word.offset : word.offset + word.length] == word.text for word in words)
    assert all(0 <= word.start <= word.end <= 10.0 for word in words)
    assert all(before.start <= after.start for before, after in pairwise(words))
