"""Decides where texts and charts move so that they do not cover each other, the captions or the overlays. Pure.

A place is a name; `picture.text.boxes` and `picture.elements.chart` define its box on a wide and on a tall picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.script.values import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.script.values import ImageOverlay, Scene, Script

TimedText = tuple[Text, int, int]  # the text, its first frame, and the one after its last
CENTRED = ("title", "subtitle", "quote")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is on the picture: the captions' position, whether the scene has speech to caption, and overlays."""

    captions: str | None = None
    has_speech: bool = False
    overlays: Sequence[TimedText] = ()


def find_surroundings(
    script: Script, scene: Scene | None, overlays: Sequence[TimedText] = ()
) -> Surroundings:
    """Return the surroundings of a scene's texts; of overlays (scene None), which may meet captions in any scene."""
    captions = None if script.captions.style == "none" else script.captions.position
    has_speech = scene is None or (scene.narration is not None and scene.narration.text != "")
    return Surroundings(captions, has_speech, overlays)


def select_texts(overlays: Sequence[Text | ImageOverlay]) -> list[Text]:
    """Return the overlays that are texts."""
    return [overlay for overlay in overlays if isinstance(overlay, Text)]


def choose_place(index: int, timed: Sequence[TimedText], surroundings: Surroundings) -> dict[str, Any]:
    """Return the placement of one of the texts, given the others and the surroundings."""
    text, start, end = timed[index]
    simultaneous: list[tuple[int, str]] = [
        (position, other.role)
        for position, (other, first, last) in enumerate(timed)
        if first < end and last > start
    ]
    overlay_roles: set[str] = {
        other.role for other, first, last in surroundings.overlays if first < end and last > start
    }
    same_role = [position for position, role in simultaneous if role == text.role]
    placement: dict[str, Any] = {}
    if len(same_role) > 1:
        placement["part"] = [same_role.index(index), len(same_role)]
    roles = {role for _, role in simultaneous}
    if text.role in CENTRED:
        placement |= _place_centred(text.role, roles, surroundings)
    elif name := _place_aside(text.role, overlay_roles, surroundings):
        placement["place"] = name
    return placement


def _place_centred(role: str, roles: set[str], surroundings: Surroundings) -> dict[str, str]:
    """Return a centred text's place among other centred texts, and the band of the frame's height left to all of them."""
    placement = {}
    if "quote" in roles and len(roles.intersection(CENTRED)) > 1:
        placement["place"] = "apart"
    elif (
        role == "subtitle"
        and "title" in roles
        and surroundings.has_speech
        and surroundings.captions == "middle"
    ):
        return {"place": "beneath"}
    elif {"title", "subtitle"} <= roles and not (
        surroundings.has_speech and surroundings.captions == "middle"
    ):
        placement["place"] = "above" if role == "title" else "below"
    if band := _choose_band(roles, surroundings):
        placement["band"] = band
    return placement


def _choose_band(roles: set[str], surroundings: Surroundings) -> str | None:
    if surroundings.captions == "bottom" and "lower_third" in roles:
        return "high"
    if not surroundings.has_speech or surroundings.captions not in ("middle", "top"):
        return "labelled" if "label" in roles else None
    if surroundings.captions == "middle":
        return "upper"
    return "lowest" if "label" in roles else "lower"


def _place_aside(role: str, overlay_roles: set[str], surroundings: Surroundings) -> str | None:
    if role == "lower_third":
        return "raised" if surroundings.captions == "bottom" or role in overlay_roles else None
    lowered = "lowered" if surroundings.captions == "top" else ""
    under = "under" if role in overlay_roles else ""
    return "_".join(filter(None, (lowered, under))) or None


def chart_clearance(scene: Scene, surroundings: Surroundings) -> list[str]:
    """Return what a chart must leave room for: `label`, and the captions' position."""
    has_label = any(
        text.role == "label" for text in (*scene.text, *(text for text, _, _ in surroundings.overlays))
    )
    captions = surroundings.captions if surroundings.has_speech else None
    return [name for name, present in (("label", has_label), (str(captions), captions)) if present]
