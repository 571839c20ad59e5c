"""Which engines there are, and who may speak for whom: the settings' servers, then Piper, then the embedded one."""

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
    """Return this process's engines in the order in which they are asked; what is learnt of each lasts as long as it."""
    config = settings()
    voices = named_voices(config.speech_voices)
    servers: list[SpeechEngine] = [
        SpeechServer(model, voices, transcriber=config.speech_transcription_model)
        for model in config.speech_endpoints()
    ]
    files = piper_voices(config.piper_voices)
    return (*servers, *([Piper(files)] if files else []), Espeak())


def engines_for(engines: Sequence[SpeechEngine], voice: Voice, language: str) -> tuple[SpeechEngine, ...]:
    """Return the engines that have the voice, in order, or raise SpeechFailed where none does."""
    found = tuple(each for each in engines if each.voice_id(voice, language) is not None)
    if not found and voice.name is not None:
        raise SpeechFailed(f"There is no voice “{voice.name[:64]}”.")
    if not found:
        raise SpeechFailed(f"No voice speaks the language “{language[:35]}”.")
    return found
