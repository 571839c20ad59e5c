"""Makes the frames that go to ffmpeg's stdin: every layer that is no clip, one below the other in a tall picture."""

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
    """What can be drawn into a part of the tall picture, frame by frame."""

    def draw(self, frame: tuple[Plane, Plane, Plane], index: int) -> None:
        """Write the frame of that number into the planes, which still hold the one before."""


@dataclass(frozen=True, slots=True)
class PictureLayer:
    """A layer: planes that stay, or a still that moves from `first` on over `of` frames."""

    planes: tuple[Plane, Plane, Plane] | None = None
    still: stills.Still | None = None
    first: int = 0
    of: int = 1

    def draw(self, frame: tuple[Plane, Plane, Plane], index: int) -> None:
        """Write the layer's frame of that number into the planes."""
        if self.still is not None and (index == 0 or self.still.kind != "none"):
            self.still.draw(frame, (self.first + index) / max(1, self.of - 1))
        elif self.planes is not None and index == 0:  # later it is still there
            for source, target in zip(self.planes, frame, strict=True):
                np.copyto(target, source)


def make_layer(
    visual: Mapping[str, Any], path: Path | None, size: tuple[int, int], place: images.Workplace
) -> PictureLayer:
    """Return the layer that a spec's visual describes; `path` is its image."""
    if path is None:
        return PictureLayer(planes=backgrounds.paint(visual, size))
    kind = visual.get("motion", "none")
    wanted = tuple(round(side * stills.CANVAS_SCALES[1]) for side in size)
    ground = theme.parse_color(visual["ground"])
    picture = images.flatten(images.load_image(path, (wanted[0], wanted[1]), place=place), ground)
    still = stills.frame_still(picture, visual["fit"], kind, size, ground)
    return PictureLayer(still=still, first=visual.get("from", 0), of=visual.get("of", 1))


def has_motion(layers: Sequence[FrameSource]) -> bool:
    """Say whether any of the layers changes from frame to frame."""
    return any(
        not isinstance(layer, PictureLayer) or (layer.still and layer.still.kind != "none")
        for layer in layers
    )


def stream_frames(layers: Sequence[FrameSource], size: tuple[int, int], frames: int) -> Iterator[memoryview]:
    """Return the tall pictures in order. Each is the same memory: it is to be used up before the next is asked for."""
    width, height = size
    tall = height * len(layers)
    memory = np.empty(width * tall * 3 // 2, np.uint8)
    luma = memory[: width * tall].reshape(tall, width)
    chroma = memory[width * tall :].reshape(2, tall // 2, width // 2)
    parts = [
        (
            luma[index * height : (index + 1) * height],
            chroma[0, index * height // 2 : (index + 1) * height // 2],
            chroma[1, index * height // 2 : (index + 1) * height // 2],
        )
        for index in range(len(layers))
    ]
    for index in range(frames):
        for layer, part in zip(layers, parts, strict=True):
            layer.draw(part, index)
        yield memory.data
