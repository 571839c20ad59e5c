"""Who is to speak a script, each with the place that says so. Whether there is such a voice is not looked up here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shared.schemas.canonical import numbered
from shared.schemas.loading import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.script import Narration, Script


class Speaker(NamedTuple):
    """A voice by its name, or where that is None the voice of a language; and the pointer to what asks for it."""

    where: str
    voice: str | None
    language: str


def speakers(script: Script, document: Any = None, at: str = "#") -> tuple[Speaker, ...]:
    """Return each speaker that the script needs, once for each place in `document`, the client's own script at `at`."""
    return tuple(dict.fromkeys(_speakers(script, document, at)))


def _speakers(script: Script, document: Any, at: str) -> Iterator[Speaker]:
    for index, scene, resolved in numbered(script, document):
        said = resolved.narration
        if said is None or not _is_spoken(said):
            continue
        if said.voice.name is None:
            yield Speaker(pointer(at, "language"), None, script.language)
        else:
            own = ("scenes", index, "narration") if _names_a_voice(scene) else ("defaults",)
            yield Speaker(pointer(at, *own, "voice", "name"), said.voice.name, script.language)


def _is_spoken(said: Narration) -> bool:
    return said.src is None and said.voice.name != "none" and bool(said.text.strip())


def _names_a_voice(scene: dict[str, Any]) -> bool:
    said = scene.get("narration")
    voice = said.get("voice") if isinstance(said, dict) else None
    return isinstance(voice, dict) and voice.get("name") is not None
