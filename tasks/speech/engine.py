"""What speech engines take and give: plain values, the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shared.script.values import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SAMPLE_RATE = 48_000  # samples a second of everything that is spoken


@dataclass(frozen=True, slots=True)
class Line:
    """One text to be spoken to a file of its own."""

    text: str
    language: str
    target: Path
    voice: Voice = field(default_factory=Voice)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was heard. Seconds from the narration's start; `offset` and `length` in characters of the text.

    The words cover all of the text but white space: a dash or an emoji belongs to the word before it.
    """

    text: str
    start: float
    end: float
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A narration: a mono 16-bit WAV file and when each of its words is heard."""

    path: Path
    samples: int
    words: tuple[Word, ...]
    engine: str
    rate: int = SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class WordTime:
    """An engine's word: where it stands in the text, and when it is heard, in seconds."""

    place: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is spoken in one breath, to a file of its own: letters and punctuation alone (see `utterances`)."""

    text: str
    language: str
    target: Path
    voice: Voice = field(default_factory=Voice)


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A spoken sentence: how long its mono 16-bit WAV file is, what is heard when, and the seconds of it transcribed."""

    samples: int
    heard: tuple[WordTime, ...]
    transcribed: float = 0.0


class SpeechEngine(Protocol):
    """Speaks sentences. All engines have this shape; `costs` tells that each character is paid for."""

    name: str
    is_paid: bool

    @property
    def transcribes(self) -> bool:
        """Whether what is spoken is also sent to be transcribed, which is paid for too."""
        ...

    def voice_id(self, voice: Voice, language: str) -> str | None:
        """Return the engine's own name of the voice that is asked for, or None where it does not have it."""
        ...

    def cache_identity(self, voice: Voice, language: str) -> Sequence[str | float]:
        """Return all that decides, beside the text, how a sentence sounds and when its words are heard."""
        ...

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        """Write each sentence's file, in order, or raise SpeechFailed, Unavailable or Stopped."""
        ...
