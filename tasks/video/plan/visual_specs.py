"""Describes a scene's visual in a segment's spec. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.video.picture.elements import chart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.script.values import Visual
    from tasks.video.plan.values import Source


def describe_visual(
    visual: Visual | None, sources: Mapping[str, Source], theme_data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the visual's part of a spec, for the whole scene."""
    if visual is None:
        return {"kind": "paint", **theme_data["background"]}
    if visual.type == "color":
        return {"kind": "paint", "colors": list(visual.colors)}
    if visual.type == "gradient":
        return {"kind": "paint", "colors": list(visual.colors), "angle": 135}
    if visual.type == "chart":
        return {
            "kind": "paint",
            **theme_data["background"],
            "chart": chart.describe_chart(visual, theme_data),
        }
    media = sources[visual.src or ""].media
    described: dict[str, Any] = {"kind": media.kind, "source": media.sha256, "fit": visual.fit}
    if visual.motion != "none":
        described["motion"] = visual.motion
    if visual.fit == "contain" or media.kind == "image" or media.alpha:
        described["ground"] = theme_data["bars"]  # around a contained picture, and behind a transparent one
    if media.kind == "video":
        described |= {"start": visual.start, "speed": visual.speed, "when_short": visual.when_short}
    return described


def limit_to_span(visual: dict[str, Any], first: int, frames: int) -> dict[str, Any]:
    """Return the described visual of a scene of `frames` frames, as it looks from frame `first` on.

    A frame number is added only where it matters, so that equal pictures keep equal keys.
    """
    moves = "motion" in visual
    if "chart" in visual:
        return {**visual, "from": first}
    if visual["kind"] == "paint" or (visual["kind"] == "image" and not moves):
        return visual
    placed = {**visual, "from": first}
    if moves or visual.get("when_short") == "slow":
        placed["of"] = frames
    return placed
