"""Lists the voices that a script needs, each with the pointer to what asks for it. Whether they exist is checked elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shared.script.schema.canonical import number_scenes
from shared.script.schema.loading import json_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.script.values import Narration, Script


class Speaker(NamedTuple):
    """A voice by its name, or any voice of the language where the name is None; and the pointer to what asks for it."""

    pointer: str
    voice: str | None
    language: str


def speakers(script: Script, document: Any = None, at: str = "#") -> tuple[Speaker, ...]:
    """Return the speakers that the script needs, each once for each place in `document`, the client's script at `at`."""
    # Most scripts name no voice, and a batch may have 100,000 scenes: one pass decides whether places are needed at all.
    named = {
        narration.voice.name
        for scene in script.scenes
        if (narration := scene.narration) is not None and _is_spoken(narration)
    }
    result = [Speaker(json_pointer(at, "language"), None, script.language)] if None in named else []
    if named - {None}:
        result += dict.fromkeys(_named_speakers(script, document, at))
    return tuple(result)


def _named_speakers(script: Script, document: Any, at: str) -> Iterator[Speaker]:
    default = json_pointer(at, "defaults", "voice", "name")
    for index, scene, resolved in number_scenes(script, document):
        narration = resolved.narration
        if narration is None or narration.voice.name is None or not _is_spoken(narration):
            continue
        own = (
            json_pointer(at, "scenes", index, "narration", "voice", "name")
            if _names_a_voice(scene)
            else default
        )
        yield Speaker(own, narration.voice.name, script.language)


def _is_spoken(narration: Narration) -> bool:
    return (
        narration.src is None
        and narration.voice.name != "none"
        and bool(narration.text)
        and not narration.text.isspace()
    )


def _names_a_voice(scene: dict[str, Any]) -> bool:
    narration = scene.get("narration")
    voice = narration.get("voice") if isinstance(narration, dict) else None
    return isinstance(voice, dict) and voice.get("name") is not None
