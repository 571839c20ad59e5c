"""Fits a text into a box: breaks lines where its script allows, and shrinks the text until nothing is cut off."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.video.captions import line_breaks
from tasks.video.picture.text import fonts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHRINK_STEP = 0.94
MIN_EM = 1.0  # pixels; without a floor, a box without height would be tried forever
WORD_BREAK_SIZE = 0.6  # of the requested size: below it, words may be broken
ROUNDING = 1 + 1e-9
SLACK = 1.02  # libass's hinting may draw slightly wider than measured
# Japanese and Chinese line breaking: characters that must not begin a line, and that must not end one.
NO_START = frozenset(
    "\u3001\u3002\uff0c\uff0e\u30fb\uff1a\uff1b\uff1f\uff01\u309b\u309c\u30fd\u30fe\u309d\u309e\u3005\u30fc"
    "\u2019\u201d\uff09\u3015\uff3d\uff5d\u3009\u300b\u300d\u300f\u3011\u2026%),.:;?!]}"
    "\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e"
    "\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30f5\u30f6"
)
NO_END = frozenset("\u2018\u201c\uff08\u3014\uff3b\uff5b\u3008\u300a\u300c\u300e\u3010([{")
# Unicode has two line ends of its own; Pillow cannot measure a text with a paragraph separator.
LINE_END = re.compile("\r\n|[\r\u2028\u2029]")
DASHES = "-\u2013\u2014/"
WIDE = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "IDEOGRAPHIC", "FULLWIDTH")


@dataclass(frozen=True, slots=True)
class Face:
    """A font family, weight and letter spacing, with which texts of a language are measured and drawn."""

    family: str
    weight: int
    language: str
    spacing: float = 0.0  # ems between characters
    fallback_weight: int = 0  # the weight of scripts that the family does not draw; 0: the same

    def width(self, text: str) -> float:
        """Return the text's width in ems."""
        return fonts.text_width(
            text, self.family, self.weight, self.language, self.fallback_weight or self.weight
        ) + self.spacing * len(text)


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines that fit. `em`, `width` and `height` in pixels."""

    lines: tuple[str, ...]
    em: float
    width: float
    height: float


def fit_text(text: str, face: Face, em: float, box: tuple[float, float], leading: float) -> TextBlock:
    """Return the text in lines inside `box` (width, height), at `em` pixels or the largest size that fits.

    If not even MIN_EM fits, as in a box without height, return the block at that size.
    """
    paragraphs = [_split_words(part, face.language) for part in _clean(text).split("\n")]
    for size in _sizes(em):
        block = _set_lines(paragraphs, face, size, box[0], leading, cramped=size < WORD_BREAK_SIZE * em)
        if block.width <= box[0] * ROUNDING and block.height <= box[1]:
            break
    return block


def _sizes(em: float) -> Iterator[float]:
    """Yield `em` and smaller sizes down to MIN_EM."""
    size = em
    while size > MIN_EM:
        yield size
        size *= SHRINK_STEP
    yield MIN_EM


def _set_lines(
    paragraphs: Sequence[list[str]], face: Face, size: float, wide: float, leading: float, *, cramped: bool
) -> TextBlock:
    """Return the paragraphs in lines of at most `wide` pixels, as far as their words allow."""
    max_width = wide / size / SLACK
    lines = [line for words in paragraphs for line in _wrap(words, face, max_width, cramped=cramped)]
    widest = max(face.width(line) for line in lines)
    height = (len(lines) - 1) * leading * size + size * max(1.0, leading)
    return TextBlock(tuple(lines), size, widest * size * SLACK, height)


def fit_lines(lines: Sequence[str], face: Face, em: float, wide: float, leading: float) -> TextBlock:
    """Return the given lines at `em` pixels, or at the largest size that the width allows."""
    widest = max(face.width(line) for line in lines) * SLACK
    size = max(MIN_EM, min(em, wide / widest) if widest else em)
    height = (len(lines) - 1) * leading * size + size * max(1.0, leading)
    return TextBlock(tuple(lines), size, widest * size, height)


def split_clusters(text: str) -> list[str]:
    """Split into user-perceived characters: marks and joined emoji stay with their base."""
    clusters: list[str] = []
    for char in text:
        joins = unicodedata.category(char) in ("Mn", "Mc", "Me") or ord(char) in fonts.JOINERS
        if clusters and (joins or clusters[-1].endswith("‍")):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _clean(text: str) -> str:
    """Return the text without control characters, with tabs as spaces and every line end as a newline."""
    lines = LINE_END.sub("\n", text).replace("\t", " ")
    printable = "".join(
        char for char in lines if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs")
    )
    return printable.strip() or " "


def _split_words(text: str, language: str) -> list[str]:
    """Split wherever a line may break; a word includes the spaces after it."""
    words: list[str] = []
    ends, offset = line_breaks.find_breaks(text, language), 0
    for cluster in split_clusters(text):
        if words and not _may_break(words[-1], cluster, known=offset in ends):
            words[-1] += cluster
        else:
            words.append(cluster)
        offset += len(cluster)
    return words or [""]


def _may_break(before: str, after: str, *, known: bool) -> bool:
    """Return whether a line may break between the two; `known`: a dictionary found a word's end there."""
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


def _wrap(words: list[str], face: Face, max_width: float, *, cramped: bool) -> list[str]:
    """Break into the fewest lines, then balance their lengths."""
    if cramped:
        words = [piece for word in words for piece in _break_word(word, face, max_width)]
    widths = [face.width(word) for word in words]
    lines = _fill_lines(widths, max_width)
    low, high = max(widths), max_width
    for _ in range(8):  # bisect to the narrowest width that needs no further line
        middle = (low + high) / 2
        if len(_fill_lines(widths, middle)) > len(lines):
            low = middle
        else:
            high = middle
    return ["".join(words[start:end]).rstrip() for start, end in _fill_lines(widths, max(high, low))]


def _fill_lines(widths: list[float], max_width: float) -> list[tuple[int, int]]:
    """Return the words of each line as (first, after last), filling each line greedily."""
    lines, start, line_width = [], 0, 0.0
    for index, width in enumerate(widths):
        if index > start and line_width + width > max_width + 0.25:  # a line's trailing space may stick out
            lines.append((start, index))
            start, line_width = index, 0.0
        line_width += width
    return [*lines, (start, len(widths))]


def _break_word(word: str, face: Face, max_width: float) -> list[str]:
    """Break a word that is wider than a line."""
    if face.width(word) <= max_width:
        return [word]
    pieces = [""]
    for cluster in split_clusters(word):
        if pieces[-1] and face.width(pieces[-1] + cluster) > max_width:
            pieces.append("")
        pieces[-1] += cluster
    return pieces
