"""Fits a text into a box: breaks lines where its script allows and shrinks until nothing is cut off."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.video.captions import line_breaks
from tasks.video.picture.text import fonts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHRINK_STEP = 0.94  # a step
MIN_EM = 1.0  # pixels of an em; without a floor, a box that has no height would be tried for ever
WORD_BREAK_SIZE = 0.6  # below this part of the wished size a word may be broken
ROUNDING = 1 + 1e-9
SLACK = 1.02  # libass's hinting may draw a little wider than was measured
# Japanese and Chinese line breaking: what no line begins with, and what none ends with.
NO_START = frozenset(
    "\u3001\u3002\uff0c\uff0e\u30fb\uff1a\uff1b\uff1f\uff01\u309b\u309c\u30fd\u30fe\u309d\u309e\u3005\u30fc"
    "\u2019\u201d\uff09\u3015\uff3d\uff5d\u3009\u300b\u300d\u300f\u3011\u2026%),.:;?!]}"
    "\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e"
    "\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30f5\u30f6"
)
NO_END = frozenset("\u2018\u201c\uff08\u3014\uff3b\uff5b\u3008\u300a\u300c\u300e\u3010([{")
# Unicode has two of its own; text that holds its paragraph separator cannot be measured.
LINE_END = re.compile("\r\n|[\r\u2028\u2029]")
DASHES = "-\u2013\u2014/"
WIDE = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "IDEOGRAPHIC", "FULLWIDTH")


@dataclass(frozen=True, slots=True)
class Face:
    """How a text is drawn."""

    family: str
    weight: int
    language: str
    spacing: float = 0.0  # ems between characters
    others: int = 0  # the weight of scripts that the family does not draw; 0: the same

    def width(self, text: str) -> float:
        """Return the width in ems."""
        return fonts.text_width(
            text, self.family, self.weight, self.language, self.others or self.weight
        ) + self.spacing * len(text)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines that fit, and the pixels of an em."""

    lines: tuple[str, ...]
    em: float
    width: float
    height: float


def fit_text(text: str, face: Face, em: float, box: tuple[float, float], leading: float) -> TextBlock:
    """Return the text in lines inside the box's width and height, at `em` pixels or the most that fit.

    Where not even the smallest size fits, as in a box without a height, the block at that size is returned.
    """
    paragraphs = [_split_words(part, face.language) for part in _clean(text).split("\n")]
    for size in _sizes(em):
        block = _set_lines(paragraphs, face, size, box[0], leading, cramped=size < WORD_BREAK_SIZE * em)
        if block.width <= box[0] * ROUNDING and block.height <= box[1]:
            break
    return block


def _sizes(em: float) -> Iterator[float]:
    """Yield `em` and ever smaller sizes down to the smallest."""
    size = em
    while size > MIN_EM:
        yield size
        size *= SHRINK_STEP
    yield MIN_EM


def _set_lines(
    paragraphs: Sequence[list[str]], face: Face, size: float, wide: float, leading: float, *, cramped: bool
) -> TextBlock:
    """Return the paragraphs in lines of at most that width where their words allow it."""
    room = wide / size / SLACK
    lines = [line for words in paragraphs for line in _wrap(words, face, room, cramped=cramped)]
    widest = max(face.width(line) for line in lines)
    height = (len(lines) - 1) * leading * size + size * max(1.0, leading)
    return TextBlock(tuple(lines), size, widest * size * SLACK, height)


def fit_lines(lines: Sequence[str], face: Face, em: float, wide: float, leading: float) -> TextBlock:
    """Return given lines at `em` pixels, or the most that the width allows."""
    widest = max(face.width(line) for line in lines) * SLACK
    size = max(MIN_EM, min(em, wide / widest) if widest else em)
    height = (len(lines) - 1) * leading * size + size * max(1.0, leading)
    return TextBlock(tuple(lines), size, widest * size, height)


def split_clusters(text: str) -> list[str]:
    """Split into what a reader sees as characters: marks and joined emoji stay with their base."""
    found: list[str] = []
    for char in text:
        joins = unicodedata.category(char) in ("Mn", "Mc", "Me") or ord(char) in fonts.JOINERS
        if found and (joins or found[-1].endswith("‍")):
            found[-1] += char
        else:
            found.append(char)
    return found


def _clean(text: str) -> str:
    """Return the text without control characters; tabs are spaces, every line end is one."""
    lines = LINE_END.sub("\n", text).replace("\t", " ")
    kept = "".join(char for char in lines if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs"))
    return kept.strip() or " "


def _split_words(text: str, language: str) -> list[str]:
    """Split at every place where a line may end; a word carries the spaces that follow it."""
    words: list[str] = []
    ends, place = line_breaks.find_breaks(text, language), 0
    for cluster in split_clusters(text):
        if words and not _may_break(words[-1], cluster, known=place in ends):
            words[-1] += cluster
        else:
            words.append(cluster)
        place += len(cluster)
    return words or [""]


def _may_break(before: str, after: str, *, known: bool) -> bool:
    """Say whether a line may end between the two; `known`: a dictionary has a word's end there."""
    if after.isspace():
        return False
    last = before[-1]
    if last.isspace():
        return True
    if after[0] in NO_START or last in NO_END:
        return False
    if line_breaks.is_unspaced(last) and line_breaks.is_unspaced(after[0]):
        return known
    return last in DASHES or _is_wide(last) or _is_wide(after[0])


def _is_wide(char: str) -> bool:
    return ord(char) > 0xDFF and unicodedata.name(char, "").startswith(WIDE)


def _wrap(words: list[str], face: Face, room: float, *, cramped: bool) -> list[str]:
    """Break into the fewest lines, then make them about equally long."""
    if cramped:
        words = [piece for word in words for piece in _break_word(word, face, room)]
    widths = [face.width(word) for word in words]
    lines = _fill_lines(widths, room)
    low, high = max(widths), room
    for _ in range(8):  # the narrowest room that needs no further line
        middle = (low + high) / 2
        if len(_fill_lines(widths, middle)) > len(lines):
            low = middle
        else:
            high = middle
    return ["".join(words[start:end]).rstrip() for start, end in _fill_lines(widths, max(high, low))]


def _fill_lines(widths: list[float], room: float) -> list[tuple[int, int]]:
    """Return the words of each line, first and after last, each line as full as it can be."""
    lines, start, used = [], 0, 0.0
    for index, width in enumerate(widths):
        if index > start and used + width > room + 0.25:  # a line's last space needs no room
            lines.append((start, index))
            start, used = index, 0.0
        used += width
    return [*lines, (start, len(widths))]


def _break_word(word: str, face: Face, room: float) -> list[str]:
    """Break a word that is wider than a whole line."""
    if face.width(word) <= room:
        return [word]
    pieces = [""]
    for cluster in split_clusters(word):
        if pieces[-1] and face.width(pieces[-1] + cluster) > room:
            pieces.append("")
        pieces[-1] += cluster
    return pieces
