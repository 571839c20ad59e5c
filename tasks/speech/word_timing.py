"""Estimates word times where an engine reports none: from a transcript, or from syllables. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import TYPE_CHECKING

from tasks.speech.engine import WordTime
from tasks.speech.word_alignment import is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

# Weights in syllables. Within a sentence only commas and the like make a pause.
BREATH = 1.2
DIGIT = 1.6
CONSONANT_SCRIPT = 0.45  # syllables of a letter, in scripts that write few vowels or none
MIN_MATCHED_SHARE = 0.6  # of the words must occur in a transcript, else it is ignored
_VOWELS = re.compile("[aeiouyæœøıаеёиоуыэюяіїєαεηιουω]+")  # noqa: RUF001 - three alphabets
_PAUSES = re.compile(r"[,;:—–、,،؛]")  # noqa: RUF001 - people write these


@dataclass(frozen=True, slots=True)
class TranscribedWord:
    """A word of a transcript, with its times in seconds."""

    text: str
    start: float
    end: float


def syllables(word: str) -> float:
    """Return about how many syllables a word has."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", word.casefold()) if each.isalnum())
    digits = sum(each.isdigit() for each in plain)
    ideographs = sum(is_unspaced(each) for each in plain)
    letters = len(plain) - digits - ideographs
    vowels = len(_VOWELS.findall(plain))
    spoken = vowels or letters * CONSONANT_SCRIPT
    return max(1.0, digits * DIGIT + ideographs + spoken)


def times_by_syllables(text: str, seconds: float) -> tuple[WordTime, ...]:
    """Return word times for a text spoken in so many seconds, in proportion to syllables."""
    return _share_time(text, split_words(text), 0.0, seconds)


def times_by_transcript(
    text: str, transcript: Sequence[TranscribedWord], seconds: float
) -> tuple[WordTime, ...] | None:
    """Return word times from the words that the transcript shares with the text; others share the time between.

    Return None where the two have too little in common.
    """
    spans = split_words(text)
    ours = [_plain(text[begin:end]) for begin, end in spans]
    matched = _match_words(ours, transcript, seconds)
    if not spans or len(matched) < MIN_MATCHED_SHARE * len(spans):
        return None
    heard: list[WordTime] = []
    edge, at = 0.0, 0
    for index, (start, end) in sorted(matched.items()):
        if index > at:
            heard += _share_time(text, spans[at:index], edge, max(edge, start))
        begin = max(edge, start)
        heard.append(WordTime(spans[index][0], begin, max(begin, end)))
        edge, at = max(begin, end), index + 1
    return (*heard, *_share_time(text, spans[at:], edge, max(edge, seconds)))


def _match_words(
    ours: Sequence[str], transcript: Sequence[TranscribedWord], seconds: float
) -> dict[int, tuple[float, float]]:
    """Return the times of the text's words that occur in the transcript in the same order.

    Letters are compared instead of words, since transcripts split unspaced scripts as they like.
    """
    theirs = [_plain(word.text) for word in transcript]
    first = [0, *accumulate(map(len, ours))]
    origin = [0, *accumulate(map(len, theirs))]
    blocks = SequenceMatcher(None, "".join(ours), "".join(theirs), autojunk=False).get_matching_blocks()
    found: dict[int, tuple[float, float]] = {}
    for index, word in enumerate(ours):
        begin, end = first[index], first[index + 1]
        block = next((each for each in blocks if each.a <= begin and end <= each.a + each.size), None)
        if not word or block is None:
            continue
        head, tail = begin + block.b - block.a, end - 1 + block.b - block.a
        one, other = bisect_right(origin, head) - 1, bisect_right(origin, tail) - 1
        start, _ = _part_of_word(transcript[one], head - origin[one], 1, len(theirs[one]))
        _, stop = _part_of_word(transcript[other], tail - origin[other], 1, len(theirs[other]))
        found[index] = (min(start, seconds), min(stop, seconds))
    return found


def _part_of_word(word: TranscribedWord, at: int, length: int, of: int) -> tuple[float, float]:
    """Return when a part of a word's letters is spoken."""
    each = (word.end - word.start) / of
    return word.start + each * at, word.start + each * (at + length)


def _plain(word: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKC", word.casefold()) if each.isalnum())


def _share_time(
    text: str, spans: Sequence[tuple[int, int]], start: float, end: float
) -> tuple[WordTime, ...]:
    """Divide a time among words by their syllables, with a pause after each comma."""
    words = [text[begin:close] for begin, close in spans]
    spoken = [syllables(word) for word in words]
    last = len(words) - 1
    breaths = [
        BREATH if index < last and _PAUSES.search(word[-2:]) else 0.0 for index, word in enumerate(words)
    ]
    total = sum(spoken) + sum(breaths)
    heard, at = list[WordTime](), 0.0
    for (place, _), weight, breath in zip(spans, spoken, breaths, strict=True):
        begin = start + (end - start) * at / total
        heard.append(WordTime(place, begin, start + (end - start) * (at + weight) / total))
        at += weight + breath
    return tuple(heard)
