"""Picks what of a sentence to show on the picture while it is spoken: a quotation, a number, a name, a short clause. Pure.

Every highlight is made of the sentence's own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING, Literal

from tasks.script import term_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.script.term_weights import TermWeights

MAX_WORDS, MAX_LENGTH = 9, 54  # of a clause; a longer one takes longer to read than to hear
MAX_SUBTITLE = 70
MIN_TERMS = 2  # of a clause that makes sense alone
MAX_LABEL = 40
WEIGHT_OF_TWICE = log1p(2)  # the weight of a word that occurs twice in the text
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WIDE_LEAST, _WIDE_MOST = 4, 16  # characters
_QUOTED = re.compile(
    r"[\u201c\u00ab\u201e]([^\u201c\u201d\u00ab\u00bb\u201e]{8,180})[\u201d\u00bb\u201c]|\"([^\"]{8,180})\""
    r"|[\u300c\u300e]([^\u300c-\u300f]{4,60})[\u300d\u300f]"
)
_COMMA = re.compile(r"[,\uff0c](?=[^\w\s]$)")  # American style puts the sentence's comma inside the quotation
# A clause ends at punctuation; a decimal point or a thousands separator is none.
_CLAUSE = re.compile(
    r"[^,;:()\u2013\u2014\uff0c\u3001\uff1b\uff1a\u3002\uff01\uff1f\u060c\u061b\u061f.!?]+(?:[.,](?=\d)[^,;:()\u2013\u2014.!?]*)*"
)
_CLAUSE_OPENING = re.compile(
    r"\s+(?=(?:that|which|who|because|while|when|dass|weil|qui|que|parce|porque|che)\s)|\s+--+\s+"
)
# Further places to split a clause that is too long.
_LOOSE_BREAK = re.compile(
    r"\s+(?=(?:and|or|but|to|for|with|as|in|from|und|oder|mit|f\u00fcr|et|ou|pour|avec|y|para|con|per|e|ma)\s)"
)
_EMPTY_START = re.compile(
    r"(?:(?:now|and|or|but|so|yet|nor|that|which|who|as|for|if|then|than|it|is|be|to|by|of|in|on|at|when|while|because|where"
    r"|shall|will|would|should|could|can|may|might|must|have|has|had|are|was|were|there"
    r"|und|oder|aber|dass|weil|wenn|die|der|das|et|ou|mais|que|qui|y|o|pero|e|ma|che|mas)\s+)+",
    re.IGNORECASE,
)
# Short words that a clause must not end with.
_EMPTY_END = frozenset(
    """
    the and for are was not but who him her his its our out all any can had has one may now per too you she did let yet
    of in to by on at as is it be we he an or if so no us my me up do der die das und ist ein des dem den mit les une est
    pas sur los las una por con que del non
    """.split()  # noqa: SIM905 - words are read best as words
)


@dataclass(frozen=True, slots=True)
class Highlight:
    """Text for the picture; `at` is its place in the sentence, `subtitle` says what a number counts."""

    role: Literal["quote", "title", "lower_third"]
    text: str
    at: int
    subtitle: str = ""

    @property
    def end(self) -> int:
        """About where in the sentence it ends."""
        return self.at + len(self.text)


def find_highlights(sentence: str, weights: TermWeights, shown: set[str], most: int = 1) -> list[Highlight]:
    """Return the best highlights that are not in `shown`, at most `most`, none overlapping, in the sentence's order."""
    chosen: list[Highlight] = []
    for each in _candidates(sentence, weights):
        apart = all(not (each.at < other.end and other.at < each.end) for other in chosen)
        known = any(each.text.casefold() in text for text in shown)
        if len(chosen) < most and apart and not known:
            chosen.append(each)
    return sorted(chosen, key=lambda each: each.at)


def heaviest_word(
    sentence: str, weights: TermWeights, shown: set[str], least: float = WEIGHT_OF_TWICE
) -> Highlight | None:
    """Return the word with the largest weight, if it is at least `least`: for sentences without a highlight."""
    words = [
        word
        for word in term_weights.content_words(sentence)
        if len(word) <= MAX_LABEL
        and weights.terms.get(word.lower(), 0.0) >= least
        and word.casefold() not in shown
    ]
    best = max(words, key=lambda word: (weights.terms.get(word.lower(), 0.0), len(word)), default=None)
    return Highlight("title", capitalized(best), sentence.find(best)) if best else None


def capitalized(text: str) -> str:
    """Return the text with its first letter upper-case; the rest keeps its case."""
    return text[:1].upper() + text[1:]


def _candidates(sentence: str, weights: TermWeights) -> Iterator[Highlight]:
    """Yield possible highlights, best first."""
    for match in _QUOTED.finditer(sentence):
        yield Highlight("quote", _COMMA.sub("", match[0]), match.start())
    phrases = [each for each in term_weights.label_phrases(sentence) if 3 <= len(each) <= MAX_LABEL]
    numbers = sorted(
        (each for each in phrases if term_weights.is_number(each)), key=str.isdigit
    )  # years come last
    names = [each for each in phrases if not term_weights.is_number(each)]
    for number in numbers:
        yield _number_highlight(sentence, number)
    long_names = [name for name in names if " " in name]
    yield from (Highlight("lower_third", capitalized(name), sentence.find(name)) for name in long_names)
    yield from sorted(_clauses(sentence), key=lambda each: -weights.weight_of(each.text))
    yield from (
        Highlight("lower_third", capitalized(name), sentence.find(name)) for name in names if " " not in name
    )


def _number_highlight(sentence: str, number: str) -> Highlight:
    """Return a number, with the words after or before it that say what it counts."""
    at = max(sentence.find(number), 0)
    after = _first_clause(sentence[at + len(number) :])
    before = _last_clause(sentence[:at])
    return Highlight(
        "title", number, at, next((each for each in (after, before) if _is_informative(each)), "")
    )


def _is_informative(words: str) -> bool:
    return len(words) <= MAX_SUBTITLE and bool(term_weights.content_words(words))


def _first_clause(text: str) -> str:
    match = _CLAUSE.match(text)
    return match[0].strip() if match else ""


def _last_clause(text: str) -> str:
    clauses = _CLAUSE.findall(text)
    return clauses[-1].strip() if clauses and text[-1:].isspace() else ""


def _clauses(sentence: str) -> Iterator[Highlight]:
    """Yield the clauses that make sense alone: short, with at least two terms."""
    for match in _CLAUSE.finditer(sentence):
        at = match.start()
        for part in _split_clause(match[0]):
            begin = sentence.index(part, at)
            at = begin + len(part)
            bare = _trim_clause(part.strip())
            if _stands_alone(bare, sentence):
                yield Highlight("quote", capitalized(bare), begin + part.index(bare))


def _split_clause(clause: str) -> list[str]:
    found: list[str] = []
    for part in _CLAUSE_OPENING.split(clause):
        found += [part] if len(part) <= MAX_LENGTH else _LOOSE_BREAK.split(part)
    return found


def _trim_clause(words: str) -> str:
    """Remove words without content from both ends of a clause."""
    if match := _EMPTY_START.match(words):
        words = words[match.end() :]
    while " " in words and not _has_content(words.rpartition(" ")[2]):
        words = words.rpartition(" ")[0].rstrip()
    return words


def _has_content(word: str) -> bool:
    small = word.casefold()
    return small not in _EMPTY_END and (
        len(small) < term_weights.LEAST or term_weights.is_content_word(small)
    )


def _stands_alone(words: str, sentence: str) -> bool:
    if len(words) >= 0.8 * len(sentence):  # the captions show the whole sentence already
        return False
    if _WIDE.search(words):
        return _WIDE_LEAST <= len(words) <= _WIDE_MOST
    number = len(words.split())
    return (
        2 <= number <= MAX_WORDS
        and len(words) <= MAX_LENGTH
        and len(term_weights.content_words(words)) >= MIN_TERMS
    )
