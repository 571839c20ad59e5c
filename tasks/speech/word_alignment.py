"""Maps an engine's word events to the words of the text as readers see them. Pure."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.speech.engine import Word, WordTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Scripts without spaces between words: each character is treated as a word.
UNSPACED = (
    ("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"), ("\u3400", "\u4dbf"),
    ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"),
)  # fmt: skip


def align_words(text: str, heard: Iterable[WordTime], seconds: float) -> tuple[Word, ...]:
    """Return each word of the text with its time.

    Engines split and join words ("1,234" is five of theirs, "Mr. X" may be one): a word's time spans all events inside
    it, and words without an event share the time of the word before.
    """
    spans = split_words(text)
    times = _times([begin for begin, _ in spans], sorted(heard, key=lambda word: word.start), seconds)
    words: list[Word] = []
    for group in _groups(times):
        begin, end = next((time for index in group if (time := times[index])), (0.0, seconds))
        if words:  # words before may share a time that ends after this one starts: times must not overlap
            begin, end = max(begin, words[-1].start), max(end, words[-1].start)
        words += _share(text, [spans[index] for index in group], begin, end)
    return tuple(words)


def split_words(text: str) -> list[tuple[int, int]]:
    """Return start and end of each word. Characters without a letter or digit belong to the word before."""
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
    """Return whether a line may break before the character without a space. Combining marks stay with their letter."""
    if character < "\u0e00" or unicodedata.category(character).startswith("M"):
        return False
    return any(first <= character <= last for first, last in UNSPACED)


def _times(
    begins: Sequence[int], heard: Sequence[WordTime], seconds: float
) -> list[tuple[float, float] | None]:
    """Return each word's start and end, None where it has no event."""
    times: list[tuple[float, float] | None] = [None] * len(begins)
    last = 0
    for word in heard:
        # Engines may report an earlier place ("$5" is spoken "five dollars"); captions must never step back.
        index = last = max(last, bisect_right(begins, word.place) - 1)
        if not begins:
            break
        start, end = min(word.start, seconds), min(max(word.start, word.end), seconds)
        before = times[index]
        times[index] = (start, end) if before is None else (before[0], max(before[1], end))
    return times


def _groups(times: Sequence[object | None]) -> list[range]:
    """Return runs of words that share one time: a word with an event, and those after it without one."""
    heads = sorted({0, *(index for index, time in enumerate(times) if time is not None)})
    if heads[:1] == [0] and times and times[0] is None and len(heads) > 1:
        heads.pop(1)  # words without an event at the start share the time of the first one with an event
    return [range(first, last) for first, last in pairwise([*heads, len(times)])] if times else []


def _share(text: str, spans: Sequence[tuple[int, int]], start: float, end: float) -> list[Word]:
    """Divide a time among words by their length."""
    weight = sum(last - first for first, last in spans)
    words, done = list[Word](), 0
    for first, last in spans:
        begin = start + (end - start) * done / weight
        done += last - first
        words.append(
            Word(text[first:last], begin, start + (end - start) * done / weight, first, last - first)
        )
    return words
