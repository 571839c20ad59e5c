"""Tells who of those that are to speak is not among the voices of this installation. It hears none of them."""

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

MAX_SUGGESTIONS = 3  # voices that are told of as like the one that was asked for
MIN_SIMILARITY = 0.7  # of 1, as difflib has it
MAX_LOOKUPS = 10  # names of one request for which others are looked up; a batch may have thousands


def find_unknown_voices(speakers: Iterable[Speaker], config: Settings) -> list[FieldError]:
    """Return the places of the speakers that nobody is, with names that are like theirs."""
    named = configured_voices(config)
    found: dict[FieldError, None] = {}
    unknown: set[str] = set()
    for where, voice, language in speakers:
        if voice is None:
            if not (voice_for_language(language) or any(each.speaks(language) for each in named.values())):
                found[where, "No voice here speaks this language. Name a voice, or none."] = None
        elif voice not in named and find_voice(voice) is None:
            unknown.add(voice)
            like = (
                _similar_voices(voice.rpartition(":")[2], available_voices(config))
                if len(unknown) <= MAX_LOOKUPS
                else ()
            )
            found[where, f"There is no such voice. {_suggestion(like)}"] = None
    return list(found)


def _suggestion(like: tuple[str, ...]) -> str:
    return f"Did you mean {', '.join(like)}?" if like else "GET /v1/voices lists them."


@lru_cache(maxsize=256)
def _similar_voices(asked: str, voices: tuple[SpokenVoice, ...]) -> tuple[str, ...]:
    """Return the names of voices that may have been meant: by a language, a name that is nearly right, or a title."""
    word = asked.casefold().partition("+")[0]
    language = voice_for_language(word)
    called = {each.name.rpartition(":")[2]: each.name for each in reversed(voices)}
    found = [language.name] if language else []
    found += [called[each] for each in get_close_matches(word, called, MAX_SUGGESTIONS, MIN_SIMILARITY)]
    found += [each.name for each in voices if each.title.casefold().startswith(word)]
    return tuple(dict.fromkeys(found))[:MAX_SUGGESTIONS]
