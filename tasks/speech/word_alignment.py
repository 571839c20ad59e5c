"""Turns an engine's events into the words of the text as people see them. Pure."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.speech.engine import Word, WordTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Scripts that put no space between words: each of their characters is a word of its own.
UNSPACED = (
    ("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"), ("\u3400", "\u4dbf"),
    ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"),
)  # fmt: skip


def align_words(text: str, heard: Iterable[WordTime], seconds: float) -> tuple[Word, ...]:
    """Return each word of the text with its time.

    Engines split and join words as they like ("1,234" is five of theirs, "Mr. X" may be one), so a word's time
    is that of all that was heard inside it; words in which nothing was heard share the time of the word before.
    """
    spans = split_words(text)
    times = _times([begin for begin, _ in spans], sorted(heard, key=lambda word: word.start), seconds)
    words: list[Word] = []
    for group in _groups(times):
        begin, end = next((time for index in group if (time := times[index])), (0.0, seconds))
        if words:  # the words before it may share a time that goes on past this one's beginning
            begin, end = max(begin, words[-1].start), max(end, words[-1].start)
        words += _share(text, [spans[index] for index in group], begin, end)
    return tuple(words)


def split_words(text: str) -> list[tuple[int, int]]:
    """Return begin and end of each word. What holds no letter and no digit belongs to the word before it."""
    spans: list[tuple[int, int]] = []
    for begin, end in _pieces(text):
        silent = not any(character.isalnum() for character in text[begin:end])
        if silent and spans:
            spans[-1] = (spans[-1][0], end)
        elif spans and not any(character.isalnum() for character in text[slice(*spans[-1])]):
            spans[-1] = (spans[-1][0], end)  # the text began with a dash or an emoji
        else:
            spans.append((begin, end))
    return spans


def _pieces(text: str) -> Iterable[tuple[int, int]]:
    begin = None
    for place, character in enumerate(text):
        if character.isspace():
            if begin is not None:
                yield begin, place
            begin = None
        elif begin is None:
            begin = place
        elif is_unspaced(character) or (is_unspaced(text[place - 1]) and character.isalnum()):
            yield begin, place
            begin = place
    if begin is not None:
        yield begin, len(text)


def is_unspaced(character: str) -> bool:
    """Say whether a line may break before the character with no space there. Marks stay with their letter."""
    if character < "\u0e00" or unicodedata.category(character).startswith("M"):
        return False
    return any(first <= character <= last for first, last in UNSPACED)


def _times(
    begins: Sequence[int], heard: Sequence[WordTime], seconds: float
) -> list[tuple[float, float] | None]:
    """Return for each word when it begins and ends, None where nothing was heard in it."""
    times: list[tuple[float, float] | None] = [None] * len(begins)
    last = 0
    for word in heard:
        # Engines sometimes step back ("$5" is "five dollars"); the words that we show never do.
        index = last = max(last, bisect_right(begins, word.place) - 1)
        if not begins:
            break
        start, end = min(word.start, seconds), min(max(word.start, word.end), seconds)
        before = times[index]
        times[index] = (start, end) if before is None else (before[0], max(before[1], end))
    return times


def _groups(times: Sequence[object | None]) -> list[range]:
    """Return runs of words that share one time: one that was heard, and those after it that were not."""
    heads = sorted({0, *(index for index, time in enumerate(times) if time is not None)})
    if heads[:1] == [0] and times and times[0] is None and len(heads) > 1:
        heads.pop(1)  # unheard words at the very beginning share the time of the first that was heard
    return [range(first, last) for first, last in pairwise([*heads, len(times)])] if times else []


def _share(text: str, spans: Sequence[tuple[int, int]], start: float, end: float) -> list[Word]:
    """Give each word its part of the time, by its length."""
    weight = sum(last - first for first, last in spans)
    words, done = list[Word](), 0
    for first, last in spans:
        begin = start + (end - start) * done / weight
        done += last - first
        words.append(
            Word(text[first:last], begin, start + (end - start) * done / weight, first, last - first)
        )
    return words
