"""Cuts a text into what is spoken in one breath, and the pauses between. Pure.

What cannot be read aloud (emoji, control characters) is left out; each spoken character still knows its place
in the text. Nothing in a text is markup: an engine gets words and punctuation alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

# Seconds at normal speed.
SENTENCE_PAUSE = 0.3
ELLIPSIS_PAUSE = 0.55
PARAGRAPH_PAUSE = 0.75

JOINERS = "\u200c\u200d"  # they shape letters in Persian and the languages of India
ABBREVIATIONS = frozenset((
    "dr", "mr", "mrs", "ms", "prof", "st", "sr", "jr", "vs", "etc", "inc", "ltd", "co", "no", "vol", "fig", "ca",
    "approx", "e.g", "i.e", "z.b", "bzw", "ggf", "usw", "nr",
))  # fmt: skip
ELLIPSIS = re.compile(r"…+|\.{3,}")
PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
# Closing quotes and brackets belong to the sentence that they close.
STOP = re.compile(
    r"""(?:[.!?؟।॥]+["'”’»)\]]*(?=\s|$))|(?:[。！？]+[」』”’）]*)"""  # noqa: RUF001  (people write these)
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is spoken in one breath. `places[i]` is where its character i stands in the text; `pause` follows it."""

    spoken: str
    places: tuple[int, ...]
    pause: float


def split_utterances(text: str) -> tuple[Utterance, ...]:
    """Return the utterances of a text, in order; none where there is nothing to say."""
    found: list[Utterance] = []
    begin = 0
    for end, pause in [*_breaks(text), (len(text), 0.0)]:
        spoken, places = _speakable_characters(text, begin, end)
        if any(character.isalnum() for character in spoken):
            found.append(Utterance(spoken, places, pause))
        elif found and pause > found[-1].pause:  # a pause of its own, such as a line of dots
            found[-1] = replace(found[-1], pause=pause)
        begin = end
    if found:
        found[-1] = replace(found[-1], pause=0.0)
    return tuple(found)


def _breaks(text: str) -> list[tuple[int, float]]:
    """Return where to breathe and for how long, in order; of two at one place the longer pause."""
    places: dict[int, float] = {}
    for match in STOP.finditer(text):
        if not _ends_abbreviation(text, match.start(), match.end()):
            places[match.end()] = SENTENCE_PAUSE
    for pattern, pause in ((ELLIPSIS, ELLIPSIS_PAUSE), (PARAGRAPH, PARAGRAPH_PAUSE)):
        for match in pattern.finditer(text):
            places[match.end()] = max(pause, places.get(match.end(), 0.0))
    return sorted(places.items())


def _ends_abbreviation(text: str, begin: int, end: int) -> bool:
    """Say whether the full stop belongs to a word ("Dr. Who", "J. Doe", "e.g. this") and ends no sentence."""
    if text[begin:end] != ".":
        return False
    before = re.search(r"""[^\s(\["“'‘]*\Z""", text[max(0, begin - 20) : begin])  # noqa: RUF001
    word = before.group().lower() if before else ""
    following = text[end:].lstrip()[:1]
    return word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or following.islower()


def _speakable_characters(text: str, begin: int, end: int) -> tuple[str, tuple[int, ...]]:
    """Return the characters that can be read aloud, each with its place; runs of others become one space."""
    characters: list[str] = []
    places: list[int] = []
    for place in range(begin, end):
        character = _speakable_character(text[place])
        if character == "" or (character == " " and (not characters or characters[-1] == " ")):
            continue
        characters.append(character)
        places.append(place)
    return "".join(characters), tuple(places)


def _speakable_character(character: str) -> str:
    """Return the character as an engine may get it: itself, a space, or nothing."""
    if character in JOINERS:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category in ("Cf", "Cs", "Co", "Cn") or "\ufe00" <= character <= "\ufe0f":
        return ""
    pictorial = category in ("So", "Sk") and ("\u2190" <= character <= "\u2bff" or character >= "\U0001f000")
    return " " if pictorial else character
