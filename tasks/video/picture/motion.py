"""Computes the window through which a still with motion is seen at each frame, and how to sample it. Pure.

A window is a rectangle on a canvas, in parts of the frame; a canvas is at least as large as the frame. Nothing is rounded to
whole pixels, or slow motion would jerk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shared.script.values import Motion

ZOOM = 1.1
MIN_PAN = 0.1  # in parts of the frame
MAX_PAN = 0.3
PHASES = np.arange(48)


@dataclass(frozen=True, slots=True)
class Window:
    """The visible part of a canvas: its centre, and its size relative to the frame."""

    x: float
    y: float
    scale: float  # 1 shows a part as large as the frame; a smaller one zooms in


def window(motion: Motion, canvas: tuple[float, float], progress: float) -> Window:
    """Return the window at a progress of 0 to 1 on a canvas of that size in frames; (0, 0) is its centre."""
    if motion in ("zoom_in", "zoom_out"):
        part = progress if motion == "zoom_in" else 1 - progress
        return Window(0.0, 0.0, float(ZOOM**-part))
    if motion == "none":
        return Window(0.0, 0.0, 1.0)
    along = canvas[0] if motion in ("pan_left", "pan_right") else canvas[1]
    scale = min(1.0, along / (1 + MIN_PAN))
    way = min(along - scale, MAX_PAN) * (progress - 0.5)
    # A pan to the left moves the window to the left, so that the picture moves to the right.
    offset = -way if motion in ("pan_left", "pan_up") else way
    return Window(offset, 0.0, scale) if motion in ("pan_left", "pan_right") else Window(0.0, offset, scale)


def always_visible(motion: Motion) -> tuple[float, float]:
    """Return the size, in parts of the frame, of the area that stays visible throughout the motion."""
    if motion == "none":
        return 1.0, 1.0
    first, last = window(motion, (1.0, 1.0), 0.0), window(motion, (1.0, 1.0), 1.0)
    smallest = min(first.scale, last.scale)
    return smallest - abs(first.x - last.x), smallest - abs(first.y - last.y)


@dataclass(frozen=True, slots=True)
class Axis:
    """How one axis is sampled: crop from pixel `first`, shift by `rest` of a pixel, resize, drop `skip` results."""

    first: int
    rest: float
    skip: int


def sample_axis(step: float, offset: float) -> Axis:
    """Return how to sample source = step * target + offset for every whole target.

    Resizing aligns pixel centres, so dropping k results shifts the phase by the fraction of step * k. The k with the nearest
    phase leaves almost nothing to shift by interpolation, which takes time and softens the picture.
    """
    starts = offset - (step * PHASES + (step - 1) / 2)
    whole = np.round(starts)
    chosen = int(np.argmin(np.abs(starts - whole)))
    return Axis(int(whole[chosen]), float(starts[chosen] - whole[chosen]), chosen)
