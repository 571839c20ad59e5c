"""Joins spoken sentences into one narration file, exact to the sample, and places their words in the whole text."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.speech.engine import SAMPLE_RATE, Word, WordTime
from tasks.speech.word_alignment import align_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tasks.speech.utterances import Utterance

EMPTY_SAMPLES = SAMPLE_RATE // 10  # of silence, for a text without anything to speak


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """A spoken sentence of a text: its word times, its samples, and the samples of silence after it."""

    utterance: Utterance
    heard: tuple[WordTime, ...]
    samples: int
    pause_samples: int


def pause_samples(utterance: Utterance, speed: float) -> int:
    """Return the samples of silence after a sentence."""
    return round(utterance.pause / speed * SAMPLE_RATE)


def total_samples(parts: Sequence[SpokenPart]) -> int:
    """Return the narration's samples."""
    return sum(part.samples + part.pause_samples for part in parts) or EMPTY_SAMPLES


def place_words(text: str, parts: Sequence[SpokenPart]) -> tuple[Word, ...]:
    """Return each word of the text with its time."""
    return align_words(text, list(_placed_times(parts)), total_samples(parts) / SAMPLE_RATE)


def _placed_times(parts: Sequence[SpokenPart]) -> Iterator[WordTime]:
    begun = 0
    for part in parts:
        places, start = part.utterance.places, begun / SAMPLE_RATE
        for each in part.heard:
            place = places[min(max(each.place, 0), len(places) - 1)]
            yield WordTime(place, start + each.start, start + each.end)
        begun += part.samples + part.pause_samples


def write_narration(parts: Sequence[SpokenPart], files: Sequence[Path], target: Path) -> int:
    """Write the narration from the sentences' files; return its samples."""
    with wave.open(str(target), "wb") as joined:
        joined.setnchannels(1)
        joined.setsampwidth(2)
        joined.setframerate(SAMPLE_RATE)
        for part, path in zip(parts, files, strict=True):
            with wave.open(str(path), "rb") as sound:
                joined.writeframes(sound.readframes(part.samples))
            joined.writeframes(bytes(2 * part.pause_samples))
        if not parts:
            joined.writeframes(bytes(2 * EMPTY_SAMPLES))
    return total_samples(parts)
