"""A text is cut where people breathe."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.speech.utterances import ELLIPSIS_PAUSE, PARAGRAPH_PAUSE, SENTENCE_PAUSE, split_utterances


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("He said “yes.” Then no.", ["He said “yes.”", "Then no."]),
        ("你好。今天很好!", ["你好。", "今天很好!"]),
        ("See Dr. Who at 3.30 p.m. tomorrow.", ["See Dr. Who at 3.30 p.m. tomorrow."]),
        ("J. R. Hartley wrote it.", ["J. R. Hartley wrote it."]),
        ("Wait… now", ["Wait…", "now"]),
        ("Wait... now", ["Wait...", "now"]),
        ("First\n\nsecond", ["First ", "second"]),
        ("a line\nbroken", ["a line broken"]),
        ("", []),
        ("🎉 — …", []),
    ],
)
def test_sentences_ellipses_and_paragraphs_are_spoken_apart(text, spoken):
    assert [each.spoken for each in split_utterances(text)] == spoken


def test_pauses_depend_on_the_punctuation_between():
    pauses = [each.pause for each in split_utterances("One. Two… three\n\nfour.\n\nfive")]

    assert pauses == [SENTENCE_PAUSE, ELLIPSIS_PAUSE, PARAGRAPH_PAUSE, PARAGRAPH_PAUSE, 0.0]


def test_unspeakable_characters_are_left_out_and_the_rest_keeps_its_place():
    (utterance,) = split_utterances("Hi 👍🏽\x01 so\u00adft\u200f 5 °C\ud800 <b>")

    assert utterance.spoken == "Hi soft 5 °C <b>"
    assert utterance.places[utterance.spoken.index("C")] == "Hi 👍🏽\x01 so\u00adft\u200f 5 °C".index("C")


@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from(string.punctuation + " \n…。"), max_size=200))
def test_any_text_keeps_its_letters_in_order(text):
    found = split_utterances(text)

    places = [place for each in found for place in each.places]
    assert places == sorted(set(places))
    assert all(text[place].isspace() or not each.isspace() for place, each in _spoken(found) if each != " ")
    assert {place for place, each in enumerate(text) if each.isalnum()} <= set(places) | _unassigned(text)


def _spoken(found):
    return [pair for each in found for pair in zip(each.places, each.spoken, strict=True)]


def _unassigned(text):
    # Letters that only stand for pictures, such as squared ones, are pictures here.
    return {place for place, each in enumerate(text) if each >= "\u2190" and not each.isalpha()}
