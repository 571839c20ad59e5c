"""Money, dates and years are said as the language says them, and each character still knows its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.speech.text_normalization import normalize
from tasks.speech.utterances import Utterance


def said(text: str, language: str) -> str:
    return normalize(whole(text), language).spoken


def whole(text: str) -> Utterance:
    return Utterance(text, tuple(range(len(text))), 0.3)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "It costs $5.", "It costs 5 dollars."),
        ("en", "$1 more", "1 $ more"),
        ("en", "$5.50, or £2.00", "5 dollars 50, or 2 pounds"),
        ("en-us", "$1,234.50!", "1,234 dollars 50!"),
        ("en", "$1.5 million and $3bn", "1.5 million dollars and 3 billion dollars"),
        ("en", "$1.05", "1 $ 5"),
        ("en", "costs 5 € now", "costs 5 euros now"),
        ("de", "5,50 € und $7", "5 € 50 und 7 $"),
        ("de", "€3 Millionen", "3 Millionen €"),
        ("fr", "12,50 €", "12 euros 50"),
        ("es", "$5", "5 dólares"),
        ("en", "On 2026-11-24.", "On November 24, 20 26."),
        ("en-gb", "On 2026-11-24.", "On 24 November 20 26."),
        ("en-us", "11/24/2026", "November 24, 20 26"),
        ("en-us", "24/11/2026", "November 24, 20 26"),
        ("en-gb", "03/11/2005", "3 November 2005"),
        ("de", "am 24.11.2026", "am 24 November 2026"),
        ("fr-fr", "le 01/11/2026", "le 1er novembre 2026"),
        ("cmn", "2026-11-24", "2026年11月24日"),
        ("en", "in the 1990s", "in the 19 90s"),
        ("en", "It began in 1995, they say.", "It began in 19 95, they say."),
        ("en", "2026-13-45 and 99/99/2026", "2026-13-45 and 99/99/2026"),
        ("en", "1995 people, version 1.2.3, $HOME, a/b", "1995 people, version 1.2.3, $HOME, a/b"),
        ("en", "in 1,995 places, in 1500", "in 1,995 places, in 1500"),
        ("tlh", "$5", "$5"),
    ],
)
def test_a_text_is_read_as_its_language_says_it(language, text, words):
    assert said(text, language) == words


def test_normalized_words_keep_the_place_of_the_original():
    text = "Pay $5.50 now."
    found = normalize(whole(text), "en")

    assert found.pause == 0.3
    assert len(found.places) == len(found.spoken)
    assert {found.places[found.spoken.index(word)] for word in ("5", "dollars", "50")} == {4}
    assert found.places[found.spoken.index("now")] == text.index("now")


@given(
    st.text(alphabet="$€£0123456789.,-/ abms", max_size=40), st.sampled_from(["en", "de", "fr", "ja", "x"])
)
def test_nothing_is_lost_and_places_never_step_back(text, language):
    found = normalize(whole(text), language)

    assert len(found.places) == len(found.spoken)
    assert list(found.places) == sorted(found.places)
    assert set(found.places) <= set(range(len(text)))
