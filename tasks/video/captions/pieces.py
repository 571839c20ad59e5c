"""Turns a narration's timed words into the pieces that cues are made of: words, folded to fit a line, with their width. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.video.captions import line_breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.speech.engine import Word

SENTENCE_ENDS = ".!?…。！？؟।॥"  # noqa: RUF001  (sentence ends of many scripts)
CLAUSE_ENDS = ",;:–—、，；：،؛"  # noqa: RUF001  (clause ends of many scripts)
CLOSING = "\"'”’»)]」』）"  # noqa: RUF001  (closing quotes and brackets)


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or a part of a word too long for a line. `spaced`: preceded by white space."""

    text: str
    start: float
    end: float
    spaced: bool
    ends: str  # "sentence", "clause" or ""
    cells: int  # including the space before it


def count_cells(text: str) -> int:
    """Return a text's width in cells: wide characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_character_cells, text))


def _character_cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


@dataclass(frozen=True, slots=True)
class SpacedWord:
    """A whole word. `spaced`: preceded by white space."""

    text: str
    start: float
    end: float
    spaced: bool


def join_characters(words: Sequence[Word], ends: frozenset[int]) -> list[SpacedWord]:
    """Join characters into words in scripts without spaces, whose speech is timed character by character."""
    joined: list[SpacedWord] = []
    offset = None
    for word in words:
        spaced = offset is not None and word.offset > offset
        offset = word.offset + word.length
        text = " ".join(word.text.split())
        before = joined[-1] if joined else None
        if before and not spaced and word.offset not in ends and _continues_word(before.text, text):
            joined[-1] = replace(before, text=before.text + text, end=max(before.end, word.end))
        else:
            joined.append(SpacedWord(text, word.start, word.end, spaced))
    return joined


def _continues_word(before: str, after: str) -> bool:
    return line_breaks.is_unspaced(before[-1:]) and line_breaks.is_unspaced(after[:1])


def split_pieces(words: Sequence[SpacedWord], columns: int) -> list[Piece]:
    """Return the words as pieces; one too wide for a line of `columns` cells is folded, its time shared evenly."""
    pieces: list[Piece] = []
    for word in words:
        parts = _fold_word(word.text, columns)
        step = (word.end - word.start) / max(1, len(parts))
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            begin = word.start + index * step
            end = word.end if last else begin + step
            gap = word.spaced and index == 0
            ending = _ending_kind(part) if last else ""
            pieces.append(Piece(part, begin, end, gap, ending, count_cells(part) + gap))
    return pieces


def _fold_word(text: str, columns: int) -> list[str]:
    """Split a word that is wider than a line; combining marks stay with their letter."""
    if count_cells(text) <= columns:
        return [text]
    parts = [""]
    for character in text:
        if count_cells(parts[-1] + character) > columns:
            parts.append("")
        parts[-1] += character
    return [part for part in parts if part]


def _ending_kind(text: str) -> str:
    bare = text.rstrip(CLOSING)
    if bare.endswith(tuple(SENTENCE_ENDS)):
        return "sentence"
    return "clause" if bare.endswith(tuple(CLAUSE_ENDS)) else ""
