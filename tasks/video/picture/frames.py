"""Paints the frames for ffmpeg's stdin: all layers but clips, below each other in one tall picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.video.picture import backgrounds, images, stills, theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tasks.video.picture.stills import Plane


class FrameSource(Protocol):
    """A layer that draws itself into its part of the tall picture, frame by frame."""

    def draw(self, frame: tuple[Plane, Plane, Plane], index: int) -> None:
        """Write frame `index` into the planes, which still hold the frame before."""


@dataclass(frozen=True, slots=True)
class PictureLayer:
    """A layer of constant planes, or a still with motion, from `first_frame` of its scene on."""

    planes: tuple[Plane, Plane, Plane] | None = None
    still: stills.Still | None = None
    first_frame: int = 0
    scene_frames: int = 1

    def draw(self, frame: tuple[Plane, Plane, Plane], index: int) -> None:
        """Write the layer's frame `index` into the planes."""
        if self.still is not None and (index == 0 or self.still.kind != "none"):
            self.still.draw(frame, (self.first_frame + index) / max(1, self.scene_frames - 1))
        elif self.planes is not None and index == 0:  # the memory is reused, so later frames still hold it
            for source, target in zip(self.planes, frame, strict=True):
                np.copyto(target, source)


def make_layer(
    visual: Mapping[str, Any], path: Path | None, size: tuple[int, int], workspace: images.ImageWorkspace
) -> PictureLayer:
    """Return the layer that a spec's visual describes; `path` is its image, or None for a painted background."""
    if path is None:
        return PictureLayer(planes=backgrounds.paint(visual, size))
    kind = visual.get("motion", "none")
    min_size = tuple(round(side * stills.CANVAS_SCALES[1]) for side in size)
    ground = theme.parse_color(visual["ground"])
    picture = images.flatten(images.load_image(path, (min_size[0], min_size[1]), workspace=workspace), ground)
    still = stills.frame_still(picture, visual["fit"], kind, size, ground)
    return PictureLayer(still=still, first_frame=visual.get("from", 0), scene_frames=visual.get("of", 1))


def has_motion(layers: Sequence[FrameSource]) -> bool:
    """Return whether any layer changes from frame to frame."""
    return any(
        not isinstance(layer, PictureLayer) or (layer.still and layer.still.kind != "none")
        for layer in layers
    )


def stream_frames(layers: Sequence[FrameSource], size: tuple[int, int], frames: int) -> Iterator[memoryview]:
    """Yield the tall pictures in order. All share one memory: use each before asking for the next."""
    width, height = size
    tall = height * len(layers)
    memory = np.empty(width * tall * 3 // 2, np.uint8)
    luma = memory[: width * tall].reshape(tall, width)
    chroma = memory[width * tall :].reshape(2, tall // 2, width // 2)
    layer_planes = [
        (
            luma[index * height : (index + 1) * height],
            chroma[0, index * height // 2 : (index + 1) * height // 2],
            chroma[1, index * height // 2 : (index + 1) * height // 2],
        )
        for index in range(len(layers))
    ]
    for index in range(frames):
        for layer, part in zip(layers, layer_planes, strict=True):
            layer.draw(part, index)
        yield memory.data
