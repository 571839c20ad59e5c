"""Finds voices in jobs that this installation does not have, and suggests similar names."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.script.voices import available_voices, configured_voices, find_voice, voice_for_language

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.schemas.job import FieldError
    from api.schemas.speakers import Speaker
    from shared.script.voices import SpokenVoice
    from shared.settings import Settings

MAX_SUGGESTIONS = 3  # similar voices that an error names
MIN_SIMILARITY = 0.7  # of difflib, 0 to 1
MAX_LOOKUPS = 10  # unknown names of one request that get suggestions: each costs milliseconds, and a batch may have thousands


def find_unknown_voices(speakers: Iterable[Speaker], config: Settings) -> list[FieldError]:
    """Return the errors of the speakers whose voice or language no engine here has, with suggestions."""
    voices = configured_voices(config)
    errors: dict[FieldError, None] = {}
    unknown: set[str] = set()
    for where, voice, language in speakers:
        if voice is None:
            if not (voice_for_language(language) or any(known.speaks(language) for known in voices.values())):
                errors[where, "No voice here speaks this language. Name a voice of GET /v1/voices."] = None
        elif voice not in voices and find_voice(voice) is None:
            unknown.add(voice)
            similar = (
                _similar_voices(voice.rpartition(":")[2], available_voices(config))
                if len(unknown) <= MAX_LOOKUPS
                else ()
            )
            errors[where, f"There is no such voice. {_suggestion(similar)}"] = None
    return list(errors)


def _suggestion(similar: tuple[str, ...]) -> str:
    return f"Did you mean {', '.join(similar)}?" if similar else "GET /v1/voices lists them."


@lru_cache(maxsize=256)
def _similar_voices(unknown: str, voices: tuple[SpokenVoice, ...]) -> tuple[str, ...]:
    """Return names of voices similar to an unknown one: of a language, a nearly equal name, or a title."""
    word = unknown.casefold().partition("+")[0]
    language = voice_for_language(word)
    voice_names = {voice.name.rpartition(":")[2]: voice.name for voice in reversed(voices)}
    names = [language.name] if language else []
    names += [
        voice_names[match] for match in get_close_matches(word, voice_names, MAX_SUGGESTIONS, MIN_SIMILARITY)
    ]
    names += [voice.name for voice in voices if voice.title.casefold().startswith(word)]
    return tuple(dict.fromkeys(names))[:MAX_SUGGESTIONS]
