"""Words have their times where an engine tells none: from a transcript, or by their syllables."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.speech.word_alignment import align_words, split_words
from tasks.speech.word_timing import TranscribedWord, syllables, times_by_syllables, times_by_transcript

WORDS = st.text(alphabet="abeo ,.é1你好", min_size=1, max_size=60).filter(
    lambda text: any(map(str.isalnum, text))
)


def spread(words: str, *, each: float = 0.3) -> list[TranscribedWord]:
    return [
        TranscribedWord(word, index * each, (index + 1) * each - 0.05)
        for index, word in enumerate(words.split())
    ]


@pytest.mark.parametrize(
    ("word", "least", "most"),
    [
        ("reef", 1, 1),
        ("centimetre", 3, 4),
        ("océan", 2, 2),
        ("1234", 5, 8),
        ("коралл", 2, 2),
        ("珊瑚", 2, 2),
        ("مرجان", 1, 3),
        ("—", 1, 1),
    ],
)
def test_syllables_are_about_what_people_count(word, least, most):
    assert least <= syllables(word) <= most


@given(WORDS, st.floats(0.1, 60))
def test_proportions_fill_the_time_in_order(text, seconds):
    heard = times_by_syllables(text, seconds)

    assert [each.place for each in heard] == [begin for begin, _ in split_words(text)]
    assert heard[0].start == 0
    assert heard[-1].end == pytest.approx(seconds)
    assert all(one.start <= one.end <= other.start + 1e-9 for one, other in pairwise(heard))


def test_a_comma_adds_a_pause():
    heard = times_by_syllables("one, two three", 3.0)

    assert heard[1].start - heard[0].end > 0.5
    assert heard[2].start == pytest.approx(heard[1].end)


def test_a_transcript_of_the_same_words_gives_their_times():
    transcript = spread("corals grow slowly")

    heard = times_by_transcript("Corals grow, slowly!", transcript, 1.0)

    assert [(each.place, each.start) for each in heard] == [(0, 0.0), (7, 0.3), (13, 0.6)]


def test_unmatched_words_get_times_between_their_neighbours():
    transcript = spread("it grows ten centimeters each year")

    heard = times_by_transcript("It grows 10 centimetres each year", transcript, 1.8)

    assert heard[2].start >= heard[1].end
    assert heard[3].end <= heard[4].start
    assert heard[4].start == pytest.approx(1.2)


def test_a_transcript_of_another_text_is_ignored():
    assert times_by_transcript("Corals grow slowly", spread("thanks for watching"), 1.0) is None
    assert times_by_transcript("Corals grow slowly", [], 1.0) is None


def test_a_transcript_of_unspaced_writing_is_split_as_we_show_it():
    heard = times_by_transcript(
        "珊瑚生长", [TranscribedWord("珊瑚", 0.0, 0.4), TranscribedWord("生长", 0.5, 0.9)], 1.0
    )

    assert [each.start for each in heard] == pytest.approx([0.0, 0.2, 0.5, 0.7])


@given(WORDS, st.lists(st.tuples(WORDS, st.floats(0, 9), st.floats(0, 9)), max_size=12), st.floats(0.1, 9))
def test_word_times_stay_ordered_and_bounded_for_any_transcript(text, said, seconds):
    transcript = [TranscribedWord(word, min(a, b), max(a, b)) for word, a, b in said]

    heard = times_by_transcript(text, sorted(transcript, key=lambda word: word.start), seconds) or ()
    words = align_words(text, heard, seconds)

    assert all(0 <= each.start <= each.end <= seconds + 1e-9 for each in heard)
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(heard))
    assert "".join("".join(word.text.split()) for word in words) == "".join(text.split())
