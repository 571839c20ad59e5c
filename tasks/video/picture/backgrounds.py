"""Paints colours, gradients and themes' backgrounds, dithered so that gradients show no banding."""

from __future__ import annotations

import json
from functools import lru_cache
from math import cos, radians, sin
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tasks.video.picture.stills import TO_YUV, Plane
from tasks.video.picture.theme import parse_color

if TYPE_CHECKING:
    from collections.abc import Mapping

COARSE_STEP = 8  # a gradient is computed for every eighth pixel and line, and interpolated between them


def paint(visual: Mapping[str, Any], size: tuple[int, int]) -> tuple[Plane, Plane, Plane]:
    """Return the planes of `{colors, angle, glows}`. They are cached and read-only."""
    deciding = {name: visual[name] for name in ("colors", "angle", "glows") if name in visual}
    return _paint_cached(json.dumps(deciding, sort_keys=True), size)


@lru_cache(maxsize=2)  # the scenes of a video often share their background
def _paint_cached(description: str, size: tuple[int, int]) -> tuple[Plane, Plane, Plane]:
    visual = json.loads(description)
    width, height = size
    coarse = _paint_rgb(visual, (max(2, width // COARSE_STEP), max(2, height // COARSE_STEP)), width / height)
    yuv = coarse @ TO_YUV[:, :3].T.astype(np.float32) + TO_YUV[:, 3].astype(np.float32)
    sizes = (size, (width // 2, height // 2), (width // 2, height // 2))
    plain = len(visual["colors"]) == 1 and not visual.get("glows")
    painted = [
        _quantize(cv2.resize(yuv[..., index], sizes[index]), None if plain else index) for index in range(3)
    ]
    for plane in painted:
        plane.setflags(write=False)  # a writer would change the cached picture of other scenes
    return painted[0], painted[1], painted[2]


def _paint_rgb(visual: Mapping[str, Any], size: tuple[int, int], ratio: float) -> Plane:
    """Return the colours as floating-point RGB; `ratio` is the frame's width by its height."""
    width, height = size
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    picture = _gradient(visual["colors"], visual.get("angle", 135), x, y)
    for glow in visual.get("glows", ()):
        far = (
            np.hypot((x - glow["x"]) * max(ratio, 1.0), (y - glow["y"]) * max(1 / ratio, 1.0))
            / glow["radius"]
        )
        part = (glow["opacity"] * np.exp(-((far * 1.6) ** 2)))[..., None]
        picture += part * (np.array(parse_color(glow["color"]), np.float32) - picture)
    return picture


def _gradient(colors: list[str], angle: float, x: Plane, y: Plane) -> Plane:
    """Return colours along a direction as in CSS: 90 is to the right, 180 down; the ends lie in the corners."""
    stops = np.array([parse_color(color) for color in colors], np.float32)
    across, down = sin(radians(angle)), -cos(radians(angle))
    reach = abs(across) + abs(down)
    along = ((x - 0.5) * across + (y - 0.5) * down) / reach + 0.5
    at = np.clip(along, 0, 1) * (len(stops) - 1)
    first = np.minimum(at.astype(np.int32), max(len(stops) - 2, 0))
    part = (at - first)[..., None].astype(np.float32)
    following = stops[np.minimum(first + 1, len(stops) - 1)]
    return np.asarray(stops[first] * (1 - part) + following * part)


def _quantize(plane: Plane, seed: int | None) -> Plane:
    """Round a plane to 8 bits. With a `seed`, dither it, or gradients show banding; equal seeds give equal noise."""
    plane += 0.5 if seed is None else np.random.default_rng(seed).random(plane.shape, np.float32)
    np.floor(plane, out=plane)
    return np.clip(plane, 0, 255, out=plane).astype(np.uint8)
