"""Joins spoken sentences into one narration, to the sample, and places their words in the whole text."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.speech.engine import RATE, Heard, Word
from tasks.speech.word_alignment import align

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tasks.speech.utterances import Utterance

NOTHING = RATE // 10  # samples of silence for a text of nothing that can be said


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence of a text, its sound in samples, and the samples of silence that follow it."""

    utterance: Utterance
    heard: tuple[Heard, ...]
    samples: int
    pause: int


def pause(utterance: Utterance, speed: float) -> int:
    """Return the samples of silence after a sentence."""
    return round(utterance.pause / speed * RATE)


def total(parts: Sequence[Part]) -> int:
    """Return how many samples the narration has."""
    return sum(part.samples + part.pause for part in parts) or NOTHING


def words(text: str, parts: Sequence[Part]) -> tuple[Word, ...]:
    """Return each word of the text with its time."""
    return align(text, list(_heard(parts)), total(parts) / RATE)


def _heard(parts: Sequence[Part]) -> Iterator[Heard]:
    begun = 0
    for part in parts:
        places, start = part.utterance.places, begun / RATE
        for each in part.heard:
            place = places[min(max(each.place, 0), len(places) - 1)]
            yield Heard(place, start + each.start, start + each.end)
        begun += part.samples + part.pause


def write(parts: Sequence[Part], files: Sequence[Path], target: Path) -> int:
    """Write the narration of sentences whose sound is in `files`; return its samples."""
    with wave.open(str(target), "wb") as joined:
        joined.setnchannels(1)
        joined.setsampwidth(2)
        joined.setframerate(RATE)
        for part, path in zip(parts, files, strict=True):
            with wave.open(str(path), "rb") as sound:
                joined.writeframes(sound.readframes(part.samples))
            joined.writeframes(bytes(2 * part.pause))
        if not parts:
            joined.writeframes(bytes(2 * NOTHING))
    return total(parts)
