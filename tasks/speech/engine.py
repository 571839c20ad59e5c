"""The interface of speech engines and its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shared.script.values import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SAMPLE_RATE = 48_000  # of all narration


@dataclass(frozen=True, slots=True)
class Line:
    """One text to speak to a file."""

    text: str
    language: str
    target: Path
    voice: Voice = field(default_factory=Voice)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a narration. Times are seconds from its start; `offset` and `length` are characters of the text.

    The words cover the whole text except white space: a dash or an emoji belongs to the word before it.
    """

    text: str
    start: float
    end: float
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A narration: a mono 16-bit WAV file and the times of its words."""

    path: Path
    samples: int
    words: tuple[Word, ...]
    engine: str
    rate: int = SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class WordTime:
    """When an engine speaks a word: the word's place in the text, start and end in seconds."""

    place: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to speak to a file: letters and punctuation only (see `utterances`)."""

    text: str
    language: str
    target: Path
    voice: Voice = field(default_factory=Voice)


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A spoken sentence: its samples (mono, 16 bits), its word times, and the seconds that were transcribed."""

    samples: int
    heard: tuple[WordTime, ...]
    transcribed: float = 0.0


class SpeechEngine(Protocol):
    """Speaks sentences. `is_paid`: each character costs money."""

    name: str
    is_paid: bool

    @property
    def transcribes(self) -> bool:
        """Whether spoken sentences are also transcribed, which costs money too."""
        ...

    def voice_id(self, voice: Voice, language: str) -> str | None:
        """Return the engine's own name of the voice, or None where it does not have the voice."""
        ...

    def cache_identity(self, voice: Voice, language: str) -> Sequence[str | float]:
        """Return everything besides the text that decides how a sentence sounds and when its words are spoken."""
        ...

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        """Write each sentence's file, in order; raise SpeechFailed, Unavailable or Stopped."""
        ...
