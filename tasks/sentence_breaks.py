"""Finds where the sentences of a text end, by ICU's rules and abbreviations for its language, plus a few that ICU lacks. Pure."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

# Replaced one by one, so that places stay the same. ICU ends a sentence at every line break, which would cut prose that is
# wrapped at 80 columns; a lone surrogate cannot be passed to it at all.
_AS_SPACE = re.compile(r"[\s\ud800-\udfff]")
_ELLIPSIS = re.compile(r"\u2026+[\"'\u201d\u2019\u00bb)\]]*(?=\s)")
# A sentence continues after these, in any language's text: an English article may name a "Mme. Curie".
_ABBREVIATIONS = frozenset(
    """
    dr mr mrs ms prof st sr jr vs cf e.g i.e mme mlle sra hr fr z.b d.h u.a bzw ggf p.ex ud uds
    """.split()  # noqa: SIM905 (words are read best as words)
)
# A sentence continues after these before a number ("No. 5"), and may end elsewhere ("He said no.").
_BEFORE_NUMBERS = frozenset(
    """
    no nr fig vol ca approx abb art ch p pp jan feb mar apr aug sep sept oct nov dec
    """.split()  # noqa: SIM905 (words are read best as words)
)
_LONGEST_WORD = 20
_LAST_WORD = re.compile(r"[^\s(\[\"\u201c'\u2018\u2013\u2014-]*\Z")


def sentence_ends(text: str, language: str) -> list[int]:
    """Return the place after each sentence but the last, closing quotes included."""
    ends = {match.end() for match in _ELLIPSIS.finditer(text)}
    for place in _icu_breaks(_AS_SPACE.sub(" ", text), language):
        end = _end_before(text, place)
        if end and not _abbreviates(text, end):
            ends.add(end)
    return sorted(ends - {len(text)})


def _icu_breaks(text: str, language: str) -> list[int]:
    from icu4py.breakers import SentenceBreaker  # noqa: PLC0415 (megabytes that a renderer need not hold)

    # ICU takes its keyword only after a plain tag: `de-u-co-phonebk@ss=standard` would lose the abbreviations.
    locale = language.partition("-u-")[0] + "@ss=standard"
    # ICU counts places in UTF-16: after an emoji they would be off by one, so its strings are measured instead.
    return list(accumulate(map(len, SentenceBreaker(text, locale))))


def _end_before(text: str, place: int) -> int:
    """Return the end of the sentence before `place`: without spaces, and without an opening bracket of the next sentence."""
    while place and (text[place - 1].isspace() or unicodedata.category(text[place - 1]) in ("Ps", "Pi")):
        place -= 1
    return place


def _abbreviates(text: str, end: int) -> bool:
    """Return whether the full stop belongs to an abbreviation ("Dr. Who", "J. Doe", "No. 5") and ends no sentence."""
    if text[end - 1] != ".":
        return False
    found = _LAST_WORD.search(text[max(0, end - 1 - _LONGEST_WORD) : end - 1])
    word = found[0] if found else ""
    if len(word) == 1 and word.isalpha():
        return True
    follows_number = text[end:].lstrip()[:1].isdigit()
    return word.casefold() in _ABBREVIATIONS or (follows_number and word.casefold() in _BEFORE_NUMBERS)
