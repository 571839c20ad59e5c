"""Where a moving still's window is at each frame, and how a plane is sampled through it. Pure.

A window is a rectangle on a canvas, in parts of the frame; a canvas is at least as large as the frame. Nothing is
rounded to whole pixels, which is what makes a slow motion smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shared.script.values import Motion

ZOOM = 1.1
MIN_PAN = 0.1  # the least way of a pan, in parts of the frame
MAX_PAN = 0.3
PHASES = np.arange(48)


@dataclass(frozen=True, slots=True)
class Window:
    """What is seen of a canvas: centre and size in parts of the frame's width and height (1, 1 is all of it)."""

    x: float
    y: float
    scale: float  # 1: as wide and high as the frame; smaller: nearer


def window(motion: Motion, canvas: tuple[float, float], progress: float) -> Window:
    """Return the window at a progress of 0 to 1 on a canvas of that width and height, its centre being (0, 0)."""
    if motion in ("zoom_in", "zoom_out"):
        part = progress if motion == "zoom_in" else 1 - progress
        return Window(0.0, 0.0, float(ZOOM**-part))
    if motion == "none":
        return Window(0.0, 0.0, 1.0)
    along = canvas[0] if motion in ("pan_left", "pan_right") else canvas[1]
    scale = min(1.0, along / (1 + MIN_PAN))
    way = min(along - scale, MAX_PAN) * (progress - 0.5)
    # A pan to the left shows what lies further left: the window moves there.
    offset = -way if motion in ("pan_left", "pan_up") else way
    return Window(offset, 0.0, scale) if motion in ("pan_left", "pan_right") else Window(0.0, offset, scale)


def always_visible(motion: Motion) -> tuple[float, float]:
    """Return the width and height, in parts of the frame, of what every window of the motion shows."""
    if motion == "none":
        return 1.0, 1.0
    first, last = window(motion, (1.0, 1.0), 0.0), window(motion, (1.0, 1.0), 1.0)
    least = min(first.scale, last.scale)
    return least - abs(first.x - last.x), least - abs(first.y - last.y)


@dataclass(frozen=True, slots=True)
class Axis:
    """How one axis of a plane is sampled: cut from `first`, moved by `rest` of a pixel, resized, `skip` results dropped."""

    first: int
    rest: float
    skip: int


def sample_axis(step: float, offset: float) -> Axis:
    """Return how to sample source = step * target + offset for every whole target.

    Resizing places pixel centres, so that dropping k results shifts the phase by the part of step * k. The k whose
    phase is nearest leaves next to nothing to be moved by interpolation, which costs time and softens the picture.
    """
    starts = offset - (step * PHASES + (step - 1) / 2)
    whole = np.round(starts)
    chosen = int(np.argmin(np.abs(starts - whole)))
    return Axis(int(whole[chosen]), float(starts[chosen] - whole[chosen]), chosen)
