"""Turns a resolved script back into JSON, and lists the sources that it names.

The JSON is the `script` sidecar, a script job's result, and what a job stores: loaded again, it is the same script.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.script.schema import placeholders
from shared.script.schema.loading import json_pointer
from shared.script.values import ImageOverlay, Narration, Scene, Script, Text, Transition, Visual

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMBERS = {
    "color": ("type", "colors"),
    "gradient": ("type", "colors"),
    "chart": ("type", "bars", "title", "unit", "highlight"),
    "image": ("type", "src", "fit", "motion"),
    "video": ("type", "src", "fit", "motion", "start", "speed", "volume", "when_short"),
    "stock": ("type", "query", "kind", "fit", "motion"),
    "generated": ("type", "prompt", "fit", "motion"),
}


def dump_script(script: Script) -> dict[str, Any]:
    """Return the script as JSON, with every default written out and without empty members."""
    document = {
        "title": script.title,
        "language": script.language,
        "theme": script.theme,
        "captions": _plain(script.captions),
        "music": script.music and _plain(script.music),
        "overlays": [_overlay(each) for each in script.overlays],
        "scenes": [_scene(each) for each in script.scenes],
    }
    # A variable may have brought in a literal "{{name}}"; a variable of that name and value keeps it as it is.
    variables = placeholders.literal_variables(iterate_strings(document))
    return {name: value for name, value in {**document, "variables": variables}.items() if value}


class NamedSource(NamedTuple):
    """A `src` in a script: the pointer to it, and the kind that it must be: an image, a video or a sound."""

    pointer: str
    src: str
    kind: str


def list_sources(script: Script, document: Any = None, at: str = "#") -> tuple[NamedSource, ...]:
    """Return each `src` that the script names, with its pointer below `at`.

    With `document`, the client's own JSON, scenes are numbered as there, including disabled ones.
    """
    return tuple(_sources(script, document, at))


def _sources(script: Script, document: Any, at: str) -> Iterator[NamedSource]:
    if script.music:
        yield NamedSource(json_pointer(at, "music", "src"), script.music.src, "sound")
    for index, overlay in enumerate(script.overlays):
        if isinstance(overlay, ImageOverlay):
            yield NamedSource(json_pointer(at, "overlays", index, "src"), overlay.src, "image")
    for index, _, scene in number_scenes(script, document):
        if scene.narration and scene.narration.src:
            yield NamedSource(
                json_pointer(at, "scenes", index, "narration", "src"), scene.narration.src, "sound"
            )
        visual = scene.visual
        path: tuple[str, ...] = ("visual",)
        while visual:
            if visual.src:
                yield NamedSource(json_pointer(at, "scenes", index, *path, "src"), visual.src, visual.type)
            visual, path = visual.fallback, (*path, "fallback")


def number_scenes(script: Script, document: Any = None) -> Iterator[tuple[int, dict[str, Any], Scene]]:
    """Yield each scene's number in `document`, which has the disabled ones too, its JSON there, and the scene."""
    scenes = document["scenes"] if document is not None else [{}] * len(script.scenes)
    enabled = ((index, scene) for index, scene in enumerate(scenes) if scene.get("enabled", True))
    for (index, written), scene in zip(enabled, script.scenes, strict=True):
        yield index, written, scene


def _plain(value: Any) -> dict[str, Any]:
    """Return the members of a flat dataclass that are not None."""
    pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: each for name, each in pairs if each is not None}


def _overlay(overlay: Text | ImageOverlay) -> dict[str, Any]:
    return {"type": "image" if isinstance(overlay, ImageOverlay) else "text", **_plain(overlay)}


def _scene(scene: Scene) -> dict[str, Any]:
    document = {
        "id": scene.id,
        "narration": scene.narration and _narration(scene.narration),
        "visual": scene.visual and _visual(scene.visual),
        "text": [_plain(each) for each in scene.text],
        "duration": scene.duration,
        "transition": _transition(scene.transition),
    }
    pads = {
        "pad_before": scene.pad_before,
        "pad_after": scene.pad_after,
        "silent_duration": scene.silent_duration,
    }
    return {name: value for name, value in document.items() if value} | pads


def _narration(narration: Narration) -> dict[str, Any]:
    source = {"src": narration.src} if narration.src else {}
    return {"text": narration.text, "voice": _plain(narration.voice), **source}


def _visual(visual: Visual) -> dict[str, Any]:
    members = ((name, getattr(visual, name)) for name in _MEMBERS[visual.type])
    document = {name: each for name, each in members if each is not None}
    if "colors" in document:
        document["colors"] = list(visual.colors)
    if "bars" in document:
        document["bars"] = [_plain(bar) for bar in visual.bars]
        document = {name: value for name, value in document.items() if value}
    return document | ({"fallback": _visual(visual.fallback)} if visual.fallback else {})


def _transition(transition: Transition) -> dict[str, Any]:
    return {"type": "cut"} if transition.type == "cut" else _plain(transition)


def iterate_strings(document: Any) -> Iterator[str]:
    """Yield every string in a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict | list):
        for each in document.values() if isinstance(document, dict) else document:
            yield from iterate_strings(each)
