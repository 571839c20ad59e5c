"""Who is to speak a script, each with the place that says so. Whether there is such a voice is not looked up here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shared.script.schema.canonical import number_scenes
from shared.script.schema.loading import json_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.script.values import Narration, Script


class Speaker(NamedTuple):
    """A voice by its name, or where that is None the voice of a language; and the pointer to what asks for it."""

    pointer: str
    voice: str | None
    language: str


def speakers(script: Script, document: Any = None, at: str = "#") -> tuple[Speaker, ...]:
    """Return each speaker that the script needs, once for each place in `document`, the client's own script at `at`."""
    # Most scripts name no voice, and a batch has many scenes: those are looked at once.
    named = {
        said.voice.name
        for scene in script.scenes
        if (said := scene.narration) is not None and _is_spoken(said)
    }
    found = [Speaker(json_pointer(at, "language"), None, script.language)] if None in named else []
    if named - {None}:
        found += dict.fromkeys(_named_speakers(script, document, at))
    return tuple(found)


def _named_speakers(script: Script, document: Any, at: str) -> Iterator[Speaker]:
    usual = json_pointer(at, "defaults", "voice", "name")
    for index, scene, resolved in number_scenes(script, document):
        said = resolved.narration
        if said is None or said.voice.name is None or not _is_spoken(said):
            continue
        own = (
            json_pointer(at, "scenes", index, "narration", "voice", "name")
            if _names_a_voice(scene)
            else usual
        )
        yield Speaker(own, said.voice.name, script.language)


def _is_spoken(said: Narration) -> bool:
    return said.src is None and said.voice.name != "none" and bool(said.text) and not said.text.isspace()


def _names_a_voice(scene: dict[str, Any]) -> bool:
    said = scene.get("narration")
    voice = said.get("voice") if isinstance(said, dict) else None
    return isinstance(voice, dict) and voice.get("name") is not None
