"""Turns a scene's visual into what a segment's spec says of it: only what is seen. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.video.picture.elements import chart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.script.values import Visual
    from tasks.video.plan.values import Source


def describe_visual(
    visual: Visual | None, sources: Mapping[str, Source], look: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the visual as a spec has it, for the whole scene."""
    if visual is None:
        return {"kind": "paint", **look["background"]}
    if visual.type == "color":
        return {"kind": "paint", "colors": list(visual.colors)}
    if visual.type == "gradient":
        return {"kind": "paint", "colors": list(visual.colors), "angle": 135}
    if visual.type == "chart":
        return {"kind": "paint", **look["background"], "chart": chart.describe_chart(visual, look)}
    media = sources[visual.src or ""].media
    found: dict[str, Any] = {"kind": media.kind, "source": media.sha256, "fit": visual.fit}
    if visual.motion != "none":
        found["motion"] = visual.motion
    if visual.fit == "contain" or media.kind == "image":
        found["ground"] = look["bars"]  # around a contained picture, and behind a transparent one
    if media.kind == "video":
        found |= {"start": visual.start, "speed": visual.speed, "when_short": visual.when_short}
    return found


def limit_to_span(visual: dict[str, Any], first: int, frames: int) -> dict[str, Any]:
    """Return the visual of a scene of so many frames as it is seen from its frame `first` on."""
    moves = "motion" in visual
    if "chart" in visual:
        return {**visual, "from": first}
    if visual["kind"] == "paint" or (visual["kind"] == "image" and not moves):
        return visual
    placed = {**visual, "from": first}
    if moves or visual.get("when_short") == "slow":
        placed["of"] = frames
    return placed
