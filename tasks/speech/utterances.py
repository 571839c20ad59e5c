"""Splits a text into utterances, with the pauses between them. Pure.

Emoji and control characters are left out; each spoken character keeps its place in the text. Nothing in a text is markup:
engines get words and punctuation only.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from tasks.sentence_breaks import sentence_ends

# Seconds at normal speed.
SENTENCE_PAUSE = 0.3
ELLIPSIS_PAUSE = 0.55
PARAGRAPH_PAUSE = 0.75

JOINERS = "\u200c\u200d"  # without them letters of Persian and Indian scripts change
ELLIPSIS = re.compile(r"…+|\.{3,}")
PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A piece of text spoken without a pause. Character i stands at `places[i]` in the text; `pause` follows, in seconds."""

    spoken: str
    places: tuple[int, ...]
    pause: float


def split_utterances(text: str, language: str = "en") -> tuple[Utterance, ...]:
    """Return the utterances of a text, in order; none where there is nothing to speak."""
    found: list[Utterance] = []
    begin = 0
    for end, pause in [*_breaks(text, language), (len(text), 0.0)]:
        spoken, places = _speakable_characters(text, begin, end)
        if any(character.isalnum() for character in spoken):
            found.append(Utterance(spoken, places, pause))
        elif (
            found and pause > found[-1].pause
        ):  # nothing to speak, such as a line of dots: it lengthens the pause
            found[-1] = replace(found[-1], pause=pause)
        begin = end
    if found:
        found[-1] = replace(found[-1], pause=0.0)
    return tuple(found)


def _breaks(text: str, language: str) -> list[tuple[int, float]]:
    """Return the places of pauses and their seconds, in order; of two at one place the longer."""
    places = dict.fromkeys(sentence_ends(text, language), SENTENCE_PAUSE)
    for pattern, pause in ((ELLIPSIS, ELLIPSIS_PAUSE), (PARAGRAPH, PARAGRAPH_PAUSE)):
        for match in pattern.finditer(text):
            places[match.end()] = max(pause, places.get(match.end(), 0.0))
    return sorted(places.items())


def _speakable_characters(text: str, begin: int, end: int) -> tuple[str, tuple[int, ...]]:
    """Return the speakable characters, each with its place; a run of others becomes one space."""
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
    """Return the character, a space, or "" where it cannot be spoken."""
    if character in JOINERS:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category in ("Cf", "Cs", "Co", "Cn") or "\ufe00" <= character <= "\ufe0f":
        return ""
    pictorial = category in ("So", "Sk") and ("\u2190" <= character <= "\u2bff" or character >= "\U0001f000")
    return " " if pictorial else character
