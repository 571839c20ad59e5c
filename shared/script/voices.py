"""The available voices: the embedded engine's, read from its data files, and those that the settings name.

An embedded voice's name may have a variant that changes its timbre: `en-us+f3`.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import espeakng_loader

if TYPE_CHECKING:
    from shared.settings import Settings

# For languages that several voices claim equally, and for tags that people write but no voice claims.
PREFERRED = {
    "en": "en-us", "zh-hk": "yue", "zh-mo": "yue", "iw": "he", "in": "id", "no": "nb", "nn": "nb", "und": "en-us",
    "mul": "en-us",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpokenVoice:
    """A voice. `language` is its BCP 47 tag, `title` its name for people, `file` its name in the engine."""

    name: str
    language: str
    title: str
    file: str

    def speaks(self, tag: str) -> bool:
        """Return whether it speaks a language, in any region."""
        return _primary_subtag(self.language) in ("mul", _spoken_language(tag))


@dataclass(frozen=True, slots=True)
class LanguageClaim:
    """A voice's claim to speak a language; the lowest rank is the best."""

    language: str
    rank: int
    voice: SpokenVoice


@dataclass(frozen=True, slots=True)
class NamedVoice:
    """A voice that the settings name. `language` None: it speaks any; `file` is Piper's."""

    name: str
    language: str | None = None
    file: str = ""

    def speaks(self, tag: str) -> bool:
        """Return whether it speaks a language, in any region."""
        return self.language is None or _primary_subtag(self.language) == _primary_subtag(tag)


def _spoken_language(tag: str) -> str:
    """Return the primary subtag that voices use for a language, which may differ from what people write."""
    voice = voice_for_language(tag)
    return _primary_subtag(voice.language) if voice else _primary_subtag(tag)


def _primary_subtag(tag: str) -> str:
    return tag.lower().replace("_", "-").partition("-")[0]


def available_voices(config: Settings) -> tuple[SpokenVoice, ...]:
    """Return every voice that a script may name, those of the settings first."""
    servers = named_voices(config.speech_voices) if config.speech_endpoints() else ()
    named = [(f"openai:{each.name}", each) for each in servers]
    named += [(f"piper:{each.name}", each) for each in piper_voices(config.piper_voices)]
    configured = [SpokenVoice(name, each.language or "mul", each.name, "") for name, each in named]
    return (*configured, *embedded_voices())


def configured_voices(config: Settings) -> dict[str, NamedVoice]:
    """Return the voices that the settings name, by the name that scripts use; of Piper, even those without files."""
    return _listed(config.speech_voices if config.speech_endpoints() else "", config.piper_voices)


@lru_cache(maxsize=8)
def _listed(servers: str, piper: str) -> dict[str, NamedVoice]:
    files = [Path(part.strip()) for part in piper.split(",") if part.strip()]
    return {f"openai:{each.name}": each for each in named_voices(servers)} | {
        f"piper:{each.stem}": NamedVoice(each.stem, _piper_language(each)) for each in files
    }


def named_voices(text: str) -> tuple[NamedVoice, ...]:
    """Parse "alloy, thorsten@de", where @ names the only language of a voice."""
    pairs = (part.strip().partition("@") for part in text.split(","))
    return tuple(NamedVoice(name, language or None) for name, _, language in pairs if name)


def piper_voices(text: str) -> tuple[NamedVoice, ...]:
    """Return the listed Piper voices whose files exist; none if Piper is not installed."""
    files = [Path(part.strip()) for part in text.split(",") if part.strip()]
    if not files or not _has_piper():
        return ()
    return tuple(NamedVoice(each.stem, _piper_language(each), str(each)) for each in files if each.is_file())


@cache
def _has_piper() -> bool:
    """Return whether Piper is installed; another package of the same name has no `voice` module."""
    return importlib.util.find_spec("piper") is not None and bool(importlib.util.find_spec("piper.voice"))


def _piper_language(file: Path) -> str | None:
    """Return the language in a voice's description file, else the one in its file name."""
    try:
        code = json.loads(file.with_name(f"{file.name}.json").read_text("utf-8"))["language"]["code"]
    except (OSError, ValueError, KeyError, TypeError):
        code = file.stem.partition("-")[0]
    return str(code).replace("_", "-")


def espeak_data_folder() -> Path:
    """Return the folder of the engine's data."""
    return Path(espeakng_loader.get_data_path())


def espeak_library() -> Path:
    """Return the path of the engine's shared library."""
    return Path(espeakng_loader.get_library_path())


@cache
def embedded_voices() -> tuple[SpokenVoice, ...]:
    """Return every embedded voice once, sorted by name."""
    voices = {claim.voice.name: claim.voice for claim in _claims()}
    return tuple(voices[name] for name in sorted(voices))


@cache
def embedded_variants() -> tuple[str, ...]:
    """Return the variants that may follow a voice's name after a plus sign."""
    names = (path.name for path in (espeak_data_folder() / "voices" / "!v").iterdir())
    return tuple(sorted(name for name in names if name.isalnum()))


def find_voice(name: str) -> SpokenVoice | None:
    """Return the embedded voice of that name, with its variant, or None."""
    base, plus, variant = name.partition("+")
    voice = next((voice for voice in embedded_voices() if voice.name == base.lower()), None)
    if voice is None or (plus and variant not in embedded_variants()):
        return None
    ending = f"{plus}{variant}"
    return SpokenVoice(voice.name + ending, voice.language, voice.title, voice.file + ending)


@lru_cache(maxsize=1024)
def voice_for_language(tag: str) -> SpokenVoice | None:
    """Return the best embedded voice for a BCP 47 tag, or None: `pt-BR` is tried first, then `pt`."""
    parts = tag.lower().replace("_", "-").split("-")
    # The most specific tag first: `pt-br` before `pt`.
    for length in range(len(parts), 0, -1):
        candidate = "-".join(parts[:length])
        if candidate in PREFERRED:
            return find_voice(PREFERRED[candidate])
        claims = [claim for claim in _claims() if claim.language == candidate]
        if claims:
            # By name where ranks are equal, so that every machine chooses the same voice.
            return min(claims, key=lambda claim: (claim.rank, claim.voice.name)).voice
    return None


@cache
def _claims() -> tuple[LanguageClaim, ...]:
    """Return the claims of all files in `lang`: each names its voice, and its languages with their ranks."""
    claims: list[LanguageClaim] = []
    for path in sorted((espeak_data_folder() / "lang").rglob("*")):
        if path.is_file():
            claims += _read_claims(path)
    return tuple(claims)


def _read_claims(path: Path) -> list[LanguageClaim]:
    title, dictionary, languages = path.name, "", list[tuple[str, int]]()
    # Some files have comments in other encodings; what is parsed is ASCII.
    for line in path.read_text("utf-8", errors="replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "name":
            title = rest.strip()
        elif word == "dictionary":
            dictionary = rest.strip()
        elif word == "language":
            tag, _, rank = rest.strip().partition(" ")
            languages.append((tag.lower(), int(rank) if rank.strip().isdigit() else 5))
    if not languages or not _has_dictionary(dictionary or languages[0][0].partition("-")[0]):
        return []
    name = languages[0][0]
    voice = SpokenVoice(name, name, title, path.relative_to(espeak_data_folder() / "lang").as_posix())
    return [LanguageClaim(tag, rank, voice) for tag, rank in languages]


def _has_dictionary(name: str) -> bool:
    """Return whether the voice's dictionary exists: the data names a few voices that lack theirs and cannot speak."""
    return (espeak_data_folder() / f"{name}_dict").is_file()
