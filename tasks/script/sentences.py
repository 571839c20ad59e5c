"""Splits an article into sentences that can be spoken: without markup, links and headings, with paragraphs kept apart. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tasks.script import tables
from tasks.sentence_breaks import sentence_ends

MAX_SENTENCE = 280  # characters; a longer sentence is hard to follow by ear, and is split at a pause
MAX_HEADING = 90
_MIN_PART = 40  # characters of each half of a split sentence
_PAUSE_SEARCH = (
    2000  # characters around the middle that are searched for a pause: bounds the time on hostile text
)

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
# Patterns are bounded in length or cannot match again one character later: else hostile text takes quadratic time.
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\n]{0,2000}\)")
_URL = re.compile(r"\bhttps?://\S+|\bwww\.\S+")
_NOTE = re.compile(r"\[\d{1,3}\]")  # a reference such as [12]
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,200}>")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*")
_BULLET = re.compile(r"\s*(?:[-*+\u2022]|\d{1,2}[.)])\s+")
_SPACES = re.compile(r"\s+")
_END = ".!?\u2026"
_WIDE_END = "\u3002\uff01\uff1f\u061f\u06d4\u0964"  # CJK, Arabic, Urdu, Hindi
_CLOSERS = "\"'\u201d\u2019\u00bb)\\]\u300d\u300f\uff09"
_PAUSE = re.compile(r"(?<=[;:\uff1b\uff1a])\s*|(?<=[,\uff0c\u3001\u060c])\s*|\s+[\u2013\u2014]\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, with the heading above it and its place in paragraph, section and list."""

    text: str
    starts_paragraph: bool
    starts_section: bool = False
    heading: str = ""
    is_item: bool = False


@dataclass(frozen=True, slots=True)
class Article:
    """A text split into sentences. `title` may be empty; each chart follows the sentence at its index."""

    title: str
    sentences: tuple[Sentence, ...]
    charts: tuple[tuple[int, dict[str, Any]], ...] = ()


def parse_article(source: str, language: str = "en") -> Article:
    """Split `source` into sentences. A first line that looks like a heading becomes the title."""
    title, heading, opens = "", "", False
    sentences: list[Sentence] = []
    charts: list[tuple[int, dict[str, Any]]] = []
    for block in _split_blocks(source):
        if tables.is_table(block):
            if sentences and (drawn := tables.chart_from_table(block)):
                charts.append((len(sentences) - 1, drawn))
            continue
        if (found := _heading_of(block, language)) is not None:
            if not sentences and not title:
                title = found
            else:
                heading, opens = found, True
            continue
        parts = [part for part in _spoken_sentences(block, language) if _is_speakable(part)]
        item = len(parts) == 1 and bool(_BULLET.match(block))
        sentences += [
            Sentence(part, at == 0, opens and at == 0, heading, item) for at, part in enumerate(parts)
        ]
        opens = opens and not parts
    return Article(title, tuple(sentences), tuple(charts))


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Return the sentences of one paragraph."""
    edges = [0, *sentence_ends(text, language), len(text)]
    return [sentence for begin, end in pairwise(edges) if (sentence := text[begin:end].strip())]


def _split_blocks(source: str) -> list[str]:
    """Return the text's paragraphs; each heading and list item is a block of its own."""
    text = _TAG.sub("", _FENCE.sub("", source))
    blocks: list[str] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines: list[str] = []
        for line in paragraph.strip().splitlines():
            if lines and (_BULLET.match(line) or _HEADING.match(line.strip())):
                blocks.append("\n".join(lines))
                lines = []
            lines.append(line)
            if _HEADING.match(line.strip()):
                blocks.append("\n".join(lines))
                lines = []
        blocks.append("\n".join(lines))
    return [block for block in blocks if block.strip()]


def _heading_of(block: str, language: str) -> str | None:
    """Return the block's heading text: marked as one, or a short line without a final stop; else None."""
    line = block.strip()
    if marked := _HEADING.fullmatch(line):
        return _strip_markup(marked[1])
    plain = _strip_markup(line)
    short = "\n" not in line and len(plain) <= MAX_HEADING and not _BULLET.match(line)
    short = short and len(split_sentences(plain, language)) == 1
    return plain if short and plain[-1] not in _END + _WIDE_END + _CLOSERS + ":;,\uff1a" else None


def _strip_markup(text: str) -> str:
    text = _EMPHASIS.sub(r"\2", _NOTE.sub("", _URL.sub("", _LINK.sub(r"\1", text))))
    return _SPACES.sub(" ", text.lstrip("> ")).strip()


def _spoken_sentences(block: str, language: str) -> list[str]:
    text = _strip_markup(_BULLET.sub("", block, count=1) if _BULLET.match(block) else block)
    return [part for sentence in split_sentences(text, language) for part in _split_long(sentence)]


def _split_long(sentence: str) -> list[str]:
    """Split a sentence that is too long to follow at the pause nearest to its middle, and its halves again."""
    whole, left = list[str](), [sentence]
    while left:
        part = left.pop()
        if len(part) <= MAX_SENTENCE:
            whole.append(part)
        else:
            left += reversed(_halves(part))
    return whole


def _halves(sentence: str) -> list[str]:
    within = (len(sentence) // 2 - _PAUSE_SEARCH, len(sentence) // 2 + _PAUSE_SEARCH)
    for pattern in (_PAUSE, _SPACES):
        pauses = [
            match
            for match in pattern.finditer(sentence, max(within[0], 0), within[1])
            if _MIN_PART < match.start() < len(sentence) - _MIN_PART
        ]
        if pauses:
            at = min(pauses, key=lambda match: abs(match.start() - len(sentence) / 2))
            return [sentence[: at.start()].strip(), sentence[at.end() :].strip()]
    return [sentence[: MAX_SENTENCE - 1], sentence[MAX_SENTENCE - 1 :]]


def _is_speakable(sentence: str) -> bool:
    """Return whether most characters are letters or digits, as those of tables, rules and code are not."""
    spoken = sum(unicodedata.category(each)[0] in "LNM" or each == " " for each in sentence)
    return any(each.isalnum() for each in sentence) and spoken >= 0.7 * len(sentence)
