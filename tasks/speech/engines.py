"""The configured speech engines in the order in which they are tried: servers, then Piper, then the embedded espeak-ng."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shared.errors import SpeechFailed
from shared.script.voices import named_voices, piper_voices
from shared.settings import settings
from tasks.speech.espeak import Espeak
from tasks.speech.piper import Piper
from tasks.speech.speech_server import SpeechServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.script.values import Voice
    from tasks.speech.engine import SpeechEngine


@lru_cache(maxsize=1)
def speech_engines() -> tuple[SpeechEngine, ...]:
    """Return this process's engines in order. Their state (formats, circuit breakers) lasts as long as the process."""
    config = settings()
    voices = named_voices(config.speech_voices)
    servers: list[SpeechEngine] = [
        SpeechServer(model, voices, transcriber=config.speech_transcription_model)
        for model in config.speech_endpoints()
    ]
    files = piper_voices(config.piper_voices)
    return (*servers, *([Piper(files)] if files else []), Espeak())


def engines_for(engines: Sequence[SpeechEngine], voice: Voice, language: str) -> tuple[SpeechEngine, ...]:
    """Return the engines that have the voice, in order; raise SpeechFailed where none does."""
    found = tuple(each for each in engines if each.voice_id(voice, language) is not None)
    if not found and voice.name is not None:
        raise SpeechFailed(f"There is no voice “{voice.name[:64]}”. GET /v1/voices lists the voices.")
    if not found:
        raise SpeechFailed(
            f"No voice speaks the language “{language[:35]}”. GET /v1/voices lists the voices with their languages."
        )
    return found
