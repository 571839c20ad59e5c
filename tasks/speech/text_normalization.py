"""Rewrites money, dates and years as a language says them, for engines that read symbol by symbol. Pure.

Without it "$5.50" is spoken as "dollar five point five zero", and "2026-11-24" with its dashes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, get_date_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.speech.utterances import Utterance

CURRENCY_SIGNS = "$€£¥₹₩₽₺₴₪₫₦"
# Plurals, where the engine reads a sign as the singular; other languages keep the sign.
PLURALS = {
    "en": {"$": "dollars", "£": "pounds", "€": "euros", "₹": "rupees"},
    "es": {"$": "dólares", "£": "libras", "€": "euros"},
    "pt": {"$": "dólares", "£": "libras", "€": "euros"},
    "fr": {"$": "dollars", "£": "livres", "€": "euros"},
    "ru": {"€": "евро"},
    "pl": {"€": "euro"},
}
MAGNITUDES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "tn": "trillion"}
YEAR_SIGN = " \N{CYRILLIC SMALL LETTER GHE}."
# espeak-ng's names of Mandarin and Cantonese.
LOCALES = {"cmn": "zh", "yue": "zh_Hant_HK"}

_MAGNITUDE = (
    r"(?:thousand|million|billion|trillion|[Mm]illion(?:en|s|es)?|[Mm]illiarden?|milliards?|mil|millón"
    r"|mill?ones|milh(?:ão|ões)|bilh(?:ão|ões)|milion[ei]|miliard[io]|miljoen|miljard|k|m|mn|bn|tn)"
)
_MONEY = re.compile(
    rf"(?P<sign>[{CURRENCY_SIGNS}])[ \u00a0]?(?P<whole>\d+(?:[.,\u00a0 ]\d{{3}})*)(?P<part>[.,]\d+)?(?![.,]?\d)"
    rf"(?:[ \u00a0]?(?P<magnitude>{_MAGNITUDE})\b)?"
)
_MONEY_SIGN_LAST = re.compile(
    rf"(?<![\d.,])(?P<whole>\d+(?:[.,\u00a0 ]\d{{3}})*)(?P<part>[.,]\d\d)?(?P<magnitude>)[ \u00a0]?(?P<sign>[{CURRENCY_SIGNS}])"
)
_ISO = re.compile(r"(?<![\d-])(\d{4})-(\d\d)-(\d\d)(?![\d-])")
_NUMERIC = re.compile(r"(?<![\d./])(\d{1,2})([./])(\d{1,2})\2(\d{4})(?![\d/]|\.\d)")
_DECADE = re.compile(r"\b(1[1-9]|20)(\d0)(?:'|\u2019)?s\b")
_YEAR = re.compile(
    r"(?i:\b(?:in|since|until|till|before|after|during|circa|year|by)[ \u00a0])(1[1-9]|20)([1-9]\d)\b(?![.,]?\d|[ \u00a0]?%)"
)


@dataclass(frozen=True, slots=True)
class _Change:
    begin: int
    end: int
    words: str


def normalize(utterance: Utterance, language: str) -> Utterance:
    """Return the utterance as it is spoken in a language; each character keeps its place in the text."""
    locale = _locale(language)
    if locale is None:
        return utterance
    spoken, places, at = "", list[int](), 0
    for change in _changes(utterance.spoken, locale):
        spoken += utterance.spoken[at : change.begin] + change.words
        places += utterance.places[at : change.begin]
        places += [utterance.places[change.begin]] * len(change.words)
        at = change.end
    if not at:
        return utterance
    return replace(utterance, spoken=spoken + utterance.spoken[at:], places=(*places, *utterance.places[at:]))


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale | None:
    tag = LOCALES.get(language.lower(), language).replace("-", "_")
    while tag:
        try:
            return Locale.parse(tag)
        except (ValueError, UnknownLocaleError):
            tag = tag.rpartition("_")[0]
    return None


def _changes(text: str, locale: Locale) -> list[_Change]:
    """Return the replacements in order; of two that overlap the first."""
    found: list[_Change] = []
    for change in sorted(_find_changes(text, locale), key=lambda each: (each.begin, -each.end)):
        if not found or change.begin >= found[-1].end:
            found.append(change)
    return found


def _find_changes(text: str, locale: Locale) -> Iterator[_Change]:
    readers: list[tuple[re.Pattern[str], Callable[[re.Match[str], Locale], str | None]]] = [
        (_MONEY, _speak_money),
        (_MONEY_SIGN_LAST, _speak_money),
        (_ISO, lambda match, where: _speak_date(int(match[1]), int(match[2]), int(match[3]), where)),
        (_NUMERIC, _speak_numeric_date),
    ]
    if locale.language == "en":
        readers += [(_DECADE, lambda match, _: f"{match[1]} {match[2]}s")]
        readers += [
            (_YEAR, lambda match, _: match[0][: -len(match[1] + match[2])] + f"{match[1]} {match[2]}")
        ]
    for pattern, say in readers:
        for match in pattern.finditer(text):
            words = say(match, locale)
            if words is not None and words != match[0]:
                yield _Change(match.start(), match.end(), words)


def _speak_money(match: re.Match[str], locale: Locale) -> str:
    """Return the number, the currency, then its hundredths, in words."""
    whole, part, magnitude = match["whole"], match["part"] or "", match["magnitude"] or ""
    if locale.language == "en":
        magnitude = MAGNITUDES.get(magnitude, magnitude)
    names = PLURALS.get(locale.language, {})
    one = whole == "1" and not magnitude
    name = match["sign"] if one else names.get(match["sign"], match["sign"])
    if magnitude or (part and len(part) != 3):
        return " ".join(each for each in (whole + part, magnitude, name) if each)
    return f"{whole} {name}" if part[1:] in ("", "00") else f"{whole} {name} {part[1:].lstrip('0')}"


def _speak_numeric_date(match: re.Match[str], locale: Locale) -> str | None:
    """Return a date in digits as words, read in the locale's order of day and month."""
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    pattern = get_date_format("short", locale=locale).pattern
    monthly = pattern.find("M") < pattern.find("d") and match[2] == "/"
    month, day = (first, second) if monthly else (second, first)
    return _speak_date(year, month, day, locale) or _speak_date(year, day, month, locale)


def _speak_date(year: int, month: int, day: int, locale: Locale) -> str | None:
    """Return a date with the name of its month, or None where there is no such day."""
    try:
        written = format_date(date(year, month, day), "long", locale=locale)
    except ValueError:
        return None
    # espeak-ng ends a sentence at a stop after a digit, and reads the Russian abbreviation of "year" as a letter.
    plain = written.removesuffix(YEAR_SIGN).replace(". ", " ")
    if locale.language == "fr" and day == 1:
        return plain.replace("1", "1er", 1)
    if locale.language == "en" and year % 100 >= 10 and (1100 <= year < 2000 or 2010 <= year < 2100):
        return plain.replace(str(year), f"{year // 100} {year % 100}")
    return plain
