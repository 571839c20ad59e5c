"""Says where texts and charts stand aside: for each other, for captions, and for what lies over the whole video. Pure.

A place is a name; what it means on a wide or a tall picture is told by `boxes` and `chart`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.script.values import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.script.values import ImageOverlay, Scene, Script

TimedText = tuple[Text, int, int]  # with its first frame, and the one after its last
CENTRED = ("title", "subtitle", "quote")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is on the picture. `captions`: where they are in the video; `spoken`: they are seen here."""

    captions: str | None = None
    spoken: bool = False
    overlays: Sequence[TimedText] = ()


def find_surroundings(
    script: Script, scene: Scene | None, overlays: Sequence[TimedText] = ()
) -> Surroundings:
    """Return what a scene's texts have around them, or what the overlays have (scene None): someone will speak."""
    captions = None if script.captions.style == "none" else script.captions.position
    spoken = scene is None or (scene.narration is not None and scene.narration.text != "")
    return Surroundings(captions, spoken, overlays)


def select_texts(overlays: Sequence[Text | ImageOverlay]) -> list[Text]:
    """Return those of the overlays that are texts."""
    return [each for each in overlays if isinstance(each, Text)]


def choose_place(index: int, timed: Sequence[TimedText], near: Surroundings) -> dict[str, Any]:
    """Return where a text stands, given the others and what is around them."""
    text, start, end = timed[index]
    beside: list[tuple[int, str]] = [
        (position, other.role)
        for position, (other, first, last) in enumerate(timed)
        if first < end and last > start
    ]
    over: set[str] = {other.role for other, first, last in near.overlays if first < end and last > start}
    alike = [position for position, role in beside if role == text.role]
    found: dict[str, Any] = {}
    if len(alike) > 1:
        found["part"] = [alike.index(index), len(alike)]
    roles = {role for _, role in beside}
    if text.role in CENTRED:
        found |= _place_centred(text.role, roles, near)
    elif name := _place_aside(text.role, over, near):
        found["place"] = name
    return found


def _place_centred(role: str, roles: set[str], near: Surroundings) -> dict[str, str]:
    """Return how what stands in the middle shares it, and which part of the frame's height is left to all of it."""
    found = {}
    if "quote" in roles and len(roles.intersection(CENTRED)) > 1:
        found["place"] = "apart"
    elif role == "subtitle" and "title" in roles and near.spoken and near.captions == "middle":
        return {"place": "beneath"}
    elif {"title", "subtitle"} <= roles and not (near.spoken and near.captions == "middle"):
        found["place"] = "above" if role == "title" else "below"
    if band := _choose_band(roles, near):
        found["band"] = band
    return found


def _choose_band(roles: set[str], near: Surroundings) -> str | None:
    if near.captions == "bottom" and "lower_third" in roles:
        return "high"
    if not near.spoken or near.captions not in ("middle", "top"):
        return "labelled" if "label" in roles else None
    if near.captions == "middle":
        return "upper"
    return "lowest" if "label" in roles else "lower"


def _place_aside(role: str, over: set[str], near: Surroundings) -> str | None:
    if role == "lower_third":
        return "raised" if near.captions == "bottom" or role in over else None
    lowered = "lowered" if near.captions == "top" else ""
    under = "under" if role in over else ""
    return "_".join(filter(None, (lowered, under))) or None


def chart_clearance(scene: Scene, near: Surroundings) -> list[str]:
    """Return what a chart leaves room for."""
    labelled = any(text.role == "label" for text in (*scene.text, *(text for text, _, _ in near.overlays)))
    captions = near.captions if near.spoken else None
    return [name for name, there in (("label", labelled), (str(captions), captions)) if there]
