"""Turns a model's answer into a script. It passes the same schema as a client's script, and may hold less. Pure.

No address, path or voice is taken from a model, whatever the text that it read asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import Invalid
from shared.script import speaking_rate
from shared.script.schema import placeholders
from shared.script.schema.canonical import dump_script, iterate_strings, list_sources
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema
from tasks.script import outline_visuals
from tasks.script.colors import scene_gradients

if TYPE_CHECKING:
    from shared.script.values import Brief, Script

TOLERANCE = 0.15  # share by which the length may be off
_SOURCED_VISUALS = ("stock", "generated")  # visuals that need a provider, and so a fallback

Places = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A script that can be rendered; what of the brief it misses; and by which share its length is off."""

    document: dict[str, Any]
    shortfalls: Places
    length_error: float


def check_draft(answer: Any, brief: Brief, *, pictures: bool) -> Draft:
    """Return the answer as a draft; raise Invalid with pointers into the answer."""
    script = load(ScriptSchema(), _escape_braces(answer))
    if named := list_sources(script, answer):
        places = tuple((pointer, "May not name a file or an address.") for pointer, _, _ in named)
        raise Invalid("The answer names files or addresses.", places)
    if not any(scene.narration for scene in script.scenes):
        raise Invalid("The answer says nothing.", (("#/scenes", "Some scene must have a narration."),))
    script = load(ScriptSchema(), _compose(answer, brief, pictures=pictures))
    shortfalls, length_error = _shortfalls(script, brief)
    return Draft(dump_script(script), shortfalls, length_error)


def _escape_braces(answer: Any) -> Any:
    """Make the answer's braces literal, unless the model wrote variables of its own."""
    if not isinstance(answer, dict) or "variables" in answer:
        return answer
    variables = placeholders.literal_variables(iterate_strings(answer))
    return {**answer, "variables": variables} if variables else answer


def _compose(answer: dict[str, Any], brief: Brief, *, pictures: bool) -> dict[str, Any]:
    """Complete the answer to a script: the brief's language, theme, backgrounds and transitions."""
    defaults = {"transition": {"type": "crossfade", "duration": 0.5}, **answer.get("defaults", {})}
    defaults.pop("voice", None)
    theme = outline_visuals.choose_theme(brief, str(answer.get("title", "")))
    colors = scene_gradients(len(answer["scenes"]), theme)
    scenes = [_scene(scene, colors[at], pictures=pictures) for at, scene in enumerate(answer["scenes"])]
    ours = {"theme": theme, "captions": {"style": "words"}}
    document = {**ours, **answer, "language": brief.language, "defaults": defaults, "scenes": scenes}
    return {"variables": placeholders.literal_variables(iterate_strings(document)), **document}


def _scene(scene: dict[str, Any], colors: list[str], *, pictures: bool) -> dict[str, Any]:
    gradient = {"type": "gradient", "colors": colors}
    visual = scene.get("visual", gradient)
    if visual["type"] in _SOURCED_VISUALS:
        visual = {"fallback": gradient, **visual} if pictures else gradient
    narration = scene.get("narration", "")
    said = narration.get("text", "") if isinstance(narration, dict) else narration
    written = [
        {"animation": "fade" if text.get("role") == "title" else "rise", **text}
        for text in scene.get("text", [])
    ]
    return {**scene, "narration": said, "visual": visual, "text": written}


def _shortfalls(script: Script, brief: Brief) -> tuple[Places, float]:
    """Return what of the brief a valid script misses, as (pointer, detail), and by which share its length is off."""
    narrations = [scene.narration.text if scene.narration else "" for scene in script.scenes]
    shortfalls: list[tuple[str, str]] = []
    if brief.scenes and len(narrations) != brief.scenes:
        shortfalls.append(
            ("#/scenes", f"Has {len(narrations)} scenes, not the {brief.scenes} that were asked for.")
        )
    told = " ".join(iterate_strings(dump_script(script))).casefold()
    missing = [word for word in brief.keywords if word.casefold() not in told]
    if missing:
        shortfalls.append(("#/scenes", f"Does not say: {', '.join(missing)}."))
    seconds = speaking_rate.estimate_video_seconds(narrations)
    length_error = abs(seconds / brief.duration - 1) if brief.duration else 0.0
    if brief.duration and length_error > TOLERANCE:
        change = "longer" if seconds < brief.duration else "shorter"
        detail = (
            f"Takes about {seconds:.0f} seconds to say, not {brief.duration:g}: all narration together must be "
            f"{change}, {brief.duration / seconds:.2f} times what it is."
        )
        shortfalls.append(("#/scenes", detail))
    return tuple(shortfalls), length_error
