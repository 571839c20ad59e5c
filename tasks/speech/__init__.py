"""Turns text into narration with word times: speech engines, the cache of sentences, and the embedded espeak-ng."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.script.values import Voice
from shared.script.voices import SpokenVoice, embedded_voices
from tasks.speech.engine import SAMPLE_RATE, Line, Speech, SpeechEngine, Word
from tasks.speech.espeak import narrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "SAMPLE_RATE",
    "Line",
    "Speech",
    "SpeechEngine",
    "SpokenVoice",
    "Voice",
    "Word",
    "embedded_voices",
    "narrate",
    "speak",
]


def speak(
    text: str, *, language: str, voice: Voice, target: Path, stop: Callable[[], bool] | None = None
) -> Speech:
    """Write one narration to `target`, or raise SpeechFailed. One call of `narrate` is faster for several."""
    return narrate([Line(text, language, target, voice)], stop=stop)[0]
