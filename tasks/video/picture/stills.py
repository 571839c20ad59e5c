"""Animates still images: an image is framed on a canvas once and sampled through a moving window for each frame.

Frames are planes of limited-range BT.709 4:2:0, computed by OpenCV in this process. See docs/adr/0003-moving-pictures.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.video.picture import images, motion

if TYPE_CHECKING:
    from shared.script.values import Motion

Plane = NDArray[Any]  # 8 bits

# Canvas pixels for one of the frame: bilinear sampling needs them to stay sharp. A picture within these bounds is not scaled.
CANVAS_SCALES = (1.25, 1.45)
SUBPIXEL_TOLERANCE = (
    0.02  # of a canvas pixel: a smaller shift is invisible, and interpolating it would soften the picture
)
STRIP_LINES = 128  # lines converted at once, so that a large picture needs no second copy in floats
MARGIN = 80  # pixels around a canvas, so that sampling never crosses its edge: the most phases times the largest step
# BT.709, limited range, from RGB of 0 to 255.
TO_YUV = np.array(
    [
        [0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16],
        [-0.2126 / 1.8556 * 224 / 255, -0.7152 / 1.8556 * 224 / 255, 0.9278 / 1.8556 * 224 / 255, 128],
        [0.7874 / 1.5748 * 224 / 255, -0.7152 / 1.5748 * 224 / 255, -0.0722 / 1.5748 * 224 / 255, 128],
    ]
)


@dataclass(frozen=True, slots=True)
class Still:
    """A framed image as planes, to be sampled through windows. `canvas_scale`: its pixels for one of the frame."""

    planes: tuple[Plane, Plane, Plane]
    size: tuple[float, float]  # of the canvas, in parts of the frame
    canvas_scale: float
    kind: Motion

    def draw(self, frame: tuple[Plane, Plane, Plane], progress: float) -> None:
        """Write the view at a progress of 0 to 1 into a frame's planes."""
        view = motion.window(self.kind, self.size, progress)
        height, width = frame[0].shape
        step = self.canvas_scale * view.scale
        # The position of the first luma sample on the canvas's luma plane, margins included.
        at = tuple(
            self.canvas_scale * pixels * (whole / 2 + moved - view.scale / 2) + step / 2 - 0.5 + MARGIN
            for pixels, whole, moved in ((width, self.size[0], view.x), (height, self.size[1], view.y))
        )
        _sample(self.planes[0], frame[0], step, (at[0], at[1]), SUBPIXEL_TOLERANCE)
        # In 4:2:0, chroma is sited between two lines and on the left column; on a canvas, in the middle of four pixels.
        # Without this shift, colours would lag behind moving edges.
        across, down = ((at[0] - 0.5) + MARGIN) / 2, (at[1] + step / 2 - 0.5 + MARGIN) / 2
        for source, target in zip(self.planes[1:], frame[1:], strict=True):
            _sample(source, target, step, (across, down), 4 * SUBPIXEL_TOLERANCE)


def _sample(source: Plane, target: Plane, step: float, at: tuple[float, float], exact: float) -> None:
    """Fill the target with source(step * x + at), bilinearly and with subpixel precision."""
    height, width = target.shape
    x, y = motion.sample_axis(step, at[0]), motion.sample_axis(step, at[1])
    wide, high = ceil((width + x.skip) * step) + 1, ceil((height + y.skip) * step) + 1
    if max(abs(x.rest), abs(y.rest)) <= exact:
        cut = source[y.first : y.first + high, x.first : x.first + wide]
    else:
        centre = (x.first + x.rest + (wide - 1) / 2, y.first + y.rest + (high - 1) / 2)
        cut = cv2.getRectSubPix(source, (wide, high), centre)
    resized = cv2.resize(cut, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_LINEAR)
    np.copyto(target, resized[y.skip : y.skip + height, x.skip : x.skip + width])


def frame_still(
    picture: images.Rgb, fit: str, kind: Motion, size: tuple[int, int], ground: tuple[int, int, int]
) -> Still:
    """Return a picture framed by `fit` on a canvas that is large enough for the motion."""
    width, height = size
    whole = _canvas_size(picture, fit, kind, size)
    canvas_scale = _canvas_scale(picture, whole, size) if kind != "none" else 1.0
    pixels = (round(canvas_scale * whole[0] * width / 2) * 2, round(canvas_scale * whole[1] * height / 2) * 2)
    if fit == "cover":
        canvas = _crop_to_cover(picture, pixels)
    else:
        canvas = (
            _crop_to_cover(picture, pixels, blur=True) if fit == "blur" else _plain_canvas(pixels, ground)
        )
        view = motion.always_visible(kind)
        _paste_inside(canvas, picture, (canvas_scale * view[0] * width, canvas_scale * view[1] * height))
    return Still(to_planes(canvas, MARGIN), whole, canvas_scale, kind)


def _canvas_scale(picture: images.Rgb, whole: tuple[float, float], size: tuple[int, int]) -> float:
    """Return the canvas's pixels for one of the frame: the picture's own, within CANVAS_SCALES."""
    own: float = min(picture.shape[1] / (whole[0] * size[0]), picture.shape[0] / (whole[1] * size[1]))
    return min(max(own, CANVAS_SCALES[0]), CANVAS_SCALES[1])


def _canvas_size(picture: images.Rgb, fit: str, kind: Motion, size: tuple[int, int]) -> tuple[float, float]:
    """Return the canvas's size in frames: a pan over a picture of another aspect ratio has further to go."""
    if fit != "cover" or not kind.startswith("pan"):
        return 1.0, 1.0
    ratio = (picture.shape[1] / picture.shape[0]) / (size[0] / size[1])
    longest = 1 + motion.MAX_PAN
    if kind in ("pan_left", "pan_right"):
        return min(max(ratio, 1.0), longest), 1.0
    return 1.0, min(max(1 / ratio, 1.0), longest)


def _crop_to_cover(picture: images.Rgb, pixels: tuple[int, int], *, blur: bool = False) -> images.Rgb:
    """Return the picture's middle, scaled to fill `pixels`."""
    height, width = picture.shape[:2]
    scale = max(pixels[0] / width, pixels[1] / height)
    wide, high = min(width, pixels[0] / scale), min(height, pixels[1] / scale)
    left, top = (width - wide) / 2, (height - high) / 2
    middle = picture[int(top) : ceil(top + high), int(left) : ceil(left + wide)]
    if not blur:
        return _resize(middle, pixels)
    # Blurring a small copy takes a hundredth of the time and looks the same.
    small = _resize(middle, (max(8, pixels[0] // 12), max(8, pixels[1] // 12)))
    soft = cv2.GaussianBlur(small, (0, 0), max(small.shape[:2]) / 40, borderType=cv2.BORDER_REPLICATE)
    dim = cv2.convertScaleAbs(soft, alpha=0.62)
    return np.asarray(cv2.resize(dim, pixels, interpolation=cv2.INTER_CUBIC))


def _plain_canvas(pixels: tuple[int, int], ground: tuple[int, int, int]) -> images.Rgb:
    canvas = np.empty((pixels[1], pixels[0], 3), np.uint8)
    canvas[:] = ground
    return canvas


def _paste_inside(canvas: images.Rgb, picture: images.Rgb, area: tuple[float, float]) -> None:
    """Paste the whole picture into the middle of the canvas, as large as the area allows."""
    height, width = picture.shape[:2]
    scale = min(area[0] / width, area[1] / height)
    wide = min(max(1, round(width * scale)), canvas.shape[1])
    high = min(max(1, round(height * scale)), canvas.shape[0])
    left, top = (canvas.shape[1] - wide) // 2, (canvas.shape[0] - high) // 2
    canvas[top : top + high, left : left + wide] = _resize(picture, (wide, high))


def _resize(picture: images.Rgb, pixels: tuple[int, int]) -> images.Rgb:
    if pixels == (picture.shape[1], picture.shape[0]):
        return picture
    smaller = pixels[0] < picture.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, pixels, interpolation=how))


def to_planes(picture: images.Rgb, margin: int = 0) -> tuple[Plane, Plane, Plane]:
    """Return an RGB picture as YUV 4:2:0 planes with a margin around each, converted in strips."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    luma = np.empty((height, width), np.uint8)
    chroma = np.empty((2, height // 2, width // 2), np.uint8)
    for top in range(0, height, STRIP_LINES):
        yuv = cv2.transform(picture[top : min(top + STRIP_LINES, height), :width], TO_YUV)
        lines = yuv.shape[0]
        luma[top : top + lines] = yuv[..., 0]
        half = cv2.resize(yuv, (width // 2, lines // 2), interpolation=cv2.INTER_AREA)
        for index in (0, 1):
            chroma[index, top // 2 : (top + lines) // 2] = half[..., index + 1]
    return _add_margin(luma, margin), _add_margin(chroma[0], margin), _add_margin(chroma[1], margin)


def _add_margin(plane: Plane, side: int) -> Plane:
    if not side:
        return plane
    return np.asarray(cv2.copyMakeBorder(plane, side, side, side, side, cv2.BORDER_REPLICATE))
