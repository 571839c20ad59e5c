"""Prepares image overlays: scales them once, applies their opacity, and places them in the title-safe area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tasks.video.picture import images
from tasks.video.picture.filter_graph import PlacedImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MARGIN = 0.045  # of the short side


def prepare_overlay(
    item: Mapping[str, Any], path: Path, size: tuple[int, int], name: str, workspace: images.ImageWorkspace
) -> PlacedImage:
    """Write the overlay's pixels to a file of that name, and return its place on the frame."""
    wide = max(2, round(item["width"] * size[0] / 2) * 2)
    picture = images.load_image(path, (wide, size[1]), alpha=True, workspace=workspace)
    high = max(2, round(wide * picture.shape[0] / picture.shape[1] / 2) * 2)
    if high > size[1]:
        wide, high = max(2, round(wide * size[1] / high / 2) * 2), size[1]
    _scale_rgba(picture, (wide, high), item["opacity"]).tofile(workspace.folder / name)
    return PlacedImage(
        name, (wide, high), _choose_place(item["position"], (wide, high), size), item["start"], item["end"]
    )


def _scale_rgba(picture: images.Rgb, pixels: tuple[int, int], opacity: float) -> images.Rgb:
    """Return the image scaled, colours weighted by alpha: else transparent pixels would bleed into the edges."""
    how = cv2.INTER_AREA if pixels[0] < picture.shape[1] else cv2.INTER_CUBIC
    weight = picture[..., 3:].astype(np.float32) / 255
    resized = cv2.resize(np.concatenate([picture[..., :3] * weight, weight], 2), pixels, interpolation=how)
    part = np.clip(resized[..., 3:], 0, 1)
    colors = resized[..., :3] / np.maximum(part, 1e-4)
    return np.concatenate([colors.clip(0, 255), part * opacity * 255], 2).round().astype(np.uint8)


def _choose_place(position: str, overlay: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    margin = round(MARGIN * min(size))
    left = (
        margin
        if "left" in position
        else size[0] - overlay[0] - margin
        if "right" in position
        else (size[0] - overlay[0]) // 2
    )
    top = (
        margin
        if "top" in position
        else size[1] - overlay[1] - margin
        if "bottom" in position
        else (size[1] - overlay[1]) // 2
    )
    return left // 2 * 2, top // 2 * 2
