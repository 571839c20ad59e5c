"""Builds the filters of transitions between two scenes, eased so that no motion starts or stops with a jerk.

Pure but for `Mask`, which draws wipes and circles frame by frame: ffmpeg's own are linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import ffmpeg
import numpy as np

if TYPE_CHECKING:
    from tasks.video.picture.stills import Plane

MASKED = ("wipe_left", "wipe_right", "circle_open")
WIPE_SOFTNESS = 0.02  # of the width: a wipe's edge
SUBPIXEL = 4  # bits of a circle's radius below a pixel
OLD_ZOOM = 1.35  # how far the old picture comes up when zooming
NEW_ZOOM = 1.12  # from where the new one settles


def compose(
    kind: str, before: Any, after: Any, mask: Any, size: tuple[int, int], frames: int, fps: int
) -> Any:
    """Return the stream of the transition; only those in `MASKED` use the `mask`."""
    if kind in MASKED:
        return ffmpeg.filter([before, after, mask], "maskedmerge")
    if kind in ("fade_black", "fade_white"):
        return _fade_through(kind.removeprefix("fade_"), before, after, frames)
    if kind.startswith("slide_"):
        return _slide(kind.removeprefix("slide_"), before, after, size, frames)
    if kind == "zoom":
        before = _zoom(before, size, f"(1+{OLD_ZOOM - 1:.4f}*{_ease_expression(frames, 'on')})")
        after = _zoom(after, size, f"(1+{NEW_ZOOM - 1:.4f}*(1-{_ease_expression(frames, 'on')}))")
    return ffmpeg.filter(
        [before, after], "xfade", transition="fade", duration=f"{frames / fps:.6f}", offset=0
    )


def _fade_through(color: str, before: Any, after: Any, frames: int) -> Any:
    """Fade to a colour and from it; with an odd number of frames, the middle one is the plain colour."""
    half = (frames + 1) // 2
    old = before.filter("trim", end_frame=half).filter(
        "fade", type="out", start_frame=0, nb_frames=half, color=color
    )
    new = after.filter("trim", start_frame=half, end_frame=frames).filter("setpts", "PTS-STARTPTS")
    if half == frames:
        return old
    new = new.filter("fade", type="in", start_frame=0, nb_frames=frames - half, color=color)
    return ffmpeg.concat(old, new, v=1, a=0)


def _slide(towards: str, before: Any, after: Any, size: tuple[int, int], frames: int) -> Any:
    """Slide from one to the other: both side by side, cropped by a moving window."""
    width, height = size
    pair = [before, after] if towards in ("left", "up") else [after, before]
    part = (
        _ease_expression(frames, "n") if towards in ("left", "up") else f"(1-{_ease_expression(frames, 'n')})"
    )
    if towards in ("left", "right"):
        return ffmpeg.filter(pair, "hstack").filter("crop", width, height, f"{width}*{part}", 0)
    return ffmpeg.filter(pair, "vstack").filter("crop", width, height, 0, f"{height}*{part}")


def _zoom(stream: Any, size: tuple[int, int], nearer: str) -> Any:
    width, height = size
    left, top = f"{width}*(0.5-0.5/{nearer})", f"{height}*(0.5-0.5/{nearer})"
    right, bottom = f"{width}*(0.5+0.5/{nearer})", f"{height}*(0.5+0.5/{nearer})"
    return stream.filter(
        "perspective", x0=left, y0=top, x1=right, y1=top, x2=left, y2=bottom, x3=right, y3=bottom,
        interpolation="linear", sense="source", eval="frame",
    )  # fmt: skip


def _ease_expression(frames: int, counter: str) -> str:
    """Return `ease` as an ffmpeg expression of the frame counter."""
    part = f"(({counter}+1)/{frames + 1})"
    return f"({part}*{part}*(3-2*{part}))"


def ease(index: int, frames: int) -> float:
    """Return a transition's eased progress at a frame: above 0 and below 1, so that no frame repeats a neighbour."""
    part = (index + 1) / (frames + 1)
    return part * part * (3 - 2 * part)


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask frame by frame: 255 in each plane where the next picture shows."""

    kind: str
    frames: int

    def draw(self, frame: tuple[Plane, Plane, Plane], index: int) -> None:
        """Write the mask's frame `index` into the planes."""
        part = ease(index, self.frames)
        for plane in frame:
            if self.kind == "circle_open":
                _circle(plane, part)
            else:
                _edge(plane, part, leftwards=self.kind == "wipe_left")


def _circle(plane: Plane, part: float) -> None:
    height, width = plane.shape
    one = 1 << SUBPIXEL
    radius = part * (width**2 + height**2) ** 0.5 / 2
    plane[:] = 0
    centre = (round((width - 1) / 2 * one), round((height - 1) / 2 * one))
    cv2.circle(plane, centre, max(1, round(radius * one)), 255, -1, cv2.LINE_AA, SUBPIXEL)


def _edge(plane: Plane, part: float, *, leftwards: bool) -> None:
    width = plane.shape[1]
    soft = WIPE_SOFTNESS * width
    edge = part * (width + 2 * soft) - soft
    row = np.clip((edge - np.arange(width)) / (2 * soft) + 0.5, 0, 1) * 255
    plane[:] = (row[::-1] if leftwards else row).astype(np.uint8)
