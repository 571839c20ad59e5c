"""Resolves a checked script: merges defaults, numbers scenes without an id, drops disabled ones."""

from __future__ import annotations

import re
from typing import Any

from shared.script.values import Captions, Narration, Scene, Script, Transition, Visual, Voice

PADS = {"pad_before": 0.2, "pad_after": 0.4, "silent_duration": 4.0}
TRANSITION_SECONDS = 0.5
TITLE_LENGTH = 80
_PICTURES = ("image", "stock", "generated")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s|(?<=[\u3002\uff01\uff1f])|\n")


def resolve_script(data: dict[str, Any]) -> Script:
    """Return the script of what ScriptSchema has checked."""
    defaults = data.get("defaults", {})
    scenes_data = data["scenes"]
    enabled = [
        (scene_data, name)
        for scene_data, name in zip(scenes_data, _ids(scenes_data), strict=True)
        if scene_data["enabled"]
    ]
    scenes = tuple(
        _scene(scene_data, name, defaults, first=at == 0) for at, (scene_data, name) in enumerate(enabled)
    )
    return Script(
        scenes=scenes,
        title=data["title"].strip() or _first_words(scenes),
        language=data["language"],
        theme=data["theme"],
        captions=data.get("captions", Captions()),
        music=data["music"],
        overlays=data["overlays"],
    )


def _ids(scenes: tuple[dict[str, Any], ...]) -> list[str]:
    """Return the scenes' ids. One without gets its number in the document, so that disabling another does not rename it."""
    taken = {scene["id"] for scene in scenes if "id" in scene}
    ids = []
    for number, scene in enumerate(scenes, 1):
        name = scene.get("id", f"scene-{number}")
        # A client may have named another scene "scene-2".
        while "id" not in scene and name in taken:
            name += "-"
        taken.add(name)
        ids.append(name)
    return ids


def _scene(data: dict[str, Any], name: str, defaults: dict[str, Any], *, first: bool) -> Scene:
    pads = {pad: data.get(pad, defaults.get(pad, otherwise)) for pad, otherwise in PADS.items()}
    return Scene(
        id=name,
        narration=_narration(data["narration"], defaults),
        visual=_visual(data["visual"], defaults),
        text=data["text"],
        duration=data["duration"],
        # Nothing comes before the first scene, so a transition into it would have no picture to start from.
        transition=Transition() if first else _transition(data, defaults),
        **pads,
    )


def _narration(data: dict[str, Any] | None, defaults: dict[str, Any]) -> Narration | None:
    if data is None:
        return None
    voice = {**defaults.get("voice", {}), **(data["voice"] or {})}
    return Narration(text=data["text"], voice=Voice(**voice), src=data["src"])


def _visual(data: dict[str, Any] | None, defaults: dict[str, Any]) -> Visual | None:
    if data is None:
        return None
    # These have no picture to fit or move, and cannot fail to load.
    if data["type"] in ("color", "gradient", "chart"):
        return Visual(**data)
    motion = defaults.get("motion", "zoom_in") if data["type"] in _PICTURES else "none"
    own = {"fit": defaults.get("fit", "cover"), "motion": motion, **data}
    return Visual(**{**own, "fallback": _visual(data.get("fallback"), defaults)})


def _transition(data: dict[str, Any], defaults: dict[str, Any]) -> Transition:
    usual = defaults.get("transition", {"type": "cut"})
    own = data.get("transition", usual)
    if own["type"] == "cut":
        return Transition()
    seconds = own.get("duration", usual.get("duration", TRANSITION_SECONDS))
    return Transition(own["type"], seconds)


def _first_words(scenes: tuple[Scene, ...]) -> str:
    """Return the first spoken sentence, else the first text on the picture, cut at a word: the default title."""
    narrations = (scene.narration.text for scene in scenes if scene.narration)
    texts = (text.text for scene in scenes for text in scene.text)
    words = next((text for text in (*narrations, *texts) if text.strip()), "")
    sentence = " ".join(_SENTENCE_END.split(words.strip(), maxsplit=1)[0].split())
    if len(sentence) <= TITLE_LENGTH:
        return sentence.rstrip(".\u3002")
    cut = sentence[:TITLE_LENGTH]
    return (cut.rpartition(" ")[0] or cut) + "…"
