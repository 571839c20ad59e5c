"""What speech engines take and give: plain values, the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shared.script import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

RATE = 48_000  # samples a second of everything that is spoken


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
    rate: int = RATE


class Engine(Protocol):
    """Speaks lines, in order, or raises SpeechFailed. Each engine is one function of this shape."""

    def __call__(
        self, lines: Sequence[Line], *, stop: Callable[[], bool] | None = None
    ) -> tuple[Speech, ...]:
        """Write each line's file and return what was spoken."""
        ...
