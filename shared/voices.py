"""The voices that the embedded speech engine has, read from its data files; it speaks nothing itself.

A voice may carry a variant that changes its timbre: `en-us+f3`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import espeakng_loader

# Where several voices claim a language equally, or none claims the tag that people write.
PREFERRED = {
    "en": "en-us", "zh-hk": "yue", "zh-mo": "yue", "iw": "he", "in": "id", "no": "nb", "nn": "nb", "und": "en-us",
    "mul": "en-us",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpokenVoice:
    """One voice. `language` is its BCP 47 tag, `title` its name for people, `file` what the engine calls it."""

    name: str
    language: str
    title: str
    file: str


@dataclass(frozen=True, slots=True)
class Claim:
    """That a voice speaks a language, and how well: the lowest rank is the best."""

    language: str
    rank: int
    voice: SpokenVoice


def data_folder() -> Path:
    """Return the folder of the engine's data."""
    return Path(espeakng_loader.get_data_path())


def library() -> Path:
    """Return the engine's shared library."""
    return Path(espeakng_loader.get_library_path())


def voices() -> tuple[SpokenVoice, ...]:
    """Return every voice once, by name."""
    found = {claim.voice.name: claim.voice for claim in _claims()}
    return tuple(found[name] for name in sorted(found))


@cache
def variants() -> tuple[str, ...]:
    """Return the names of the variants that can follow a voice's name after a plus."""
    names = (path.name for path in (data_folder() / "voices" / "!v").iterdir())
    return tuple(sorted(name for name in names if name.isalnum()))


def find(name: str) -> SpokenVoice | None:
    """Return the voice of that name, or None. A variant is kept in the name of what is returned."""
    base, plus, variant = name.partition("+")
    voice = next((voice for voice in voices() if voice.name == base.lower()), None)
    if voice is None or (plus and variant not in variants()):
        return None
    ending = f"{plus}{variant}"
    return SpokenVoice(voice.name + ending, voice.language, voice.title, voice.file + ending)


def for_language(tag: str) -> SpokenVoice | None:
    """Return the voice that speaks a BCP 47 tag best, or None: `pt-BR`, then `pt`, and so on to its left."""
    parts = tag.lower().replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        wanted = "-".join(parts[:length])
        if wanted in PREFERRED:
            return find(PREFERRED[wanted])
        claims = [claim for claim in _claims() if claim.language == wanted]
        if claims:
            return min(claims, key=lambda claim: (claim.rank, claim.voice.name)).voice
    return None


@cache
def _claims() -> tuple[Claim, ...]:
    """Read what each file in `lang` says of itself: its name, and its languages with their ranks."""
    claims: list[Claim] = []
    for path in sorted((data_folder() / "lang").rglob("*")):
        if path.is_file():
            claims += _read(path)
    return tuple(claims)


def _read(path: Path) -> list[Claim]:
    title, dictionary, languages = path.name, "", list[tuple[str, int]]()
    # Some files carry comments in other encodings; what we read of them is ASCII.
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
    voice = SpokenVoice(name, name, title, path.relative_to(data_folder() / "lang").as_posix())
    return [Claim(tag, rank, voice) for tag, rank in languages]


def _has_dictionary(name: str) -> bool:
    """Say whether the voice can speak: the data names a few whose dictionaries it does not hold."""
    return (data_folder() / f"{name}_dict").is_file()
