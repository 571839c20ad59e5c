from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tasks.video.picture.motion import MIN_PAN, ZOOM, always_visible, window
from tasks.video.picture.stills import frame_still

SIZE = (640, 360)
FRAMES = 150
MOTIONS = ("zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down")


def dot(at: tuple[float, float], size: tuple[int, int] = (1280, 720)) -> np.ndarray:
    """A picture with one soft dot, its centre at any fraction of a pixel."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    light = 220 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 4.0**2))
    return np.repeat(light[..., None], 3, 2).round().astype(np.uint8)


def track(picture: np.ndarray, motion: str, fit: str = "cover") -> np.ndarray:
    """Return where the dot's centre of light is in each frame."""
    still = frame_still(picture, fit, motion, SIZE, (0, 0, 0))
    width, height = SIZE
    frame = tuple(np.zeros(shape, np.uint8) for shape in ((height, width), *[(height // 2, width // 2)] * 2))
    y, x = np.mgrid[0:height, 0:width]
    path = []
    for index in range(FRAMES):
        still.draw(frame, index / (FRAMES - 1))
        light = np.clip(frame[0].astype(float) - 24, 0, None)
        path.append(((x * light).sum() / light.sum(), (y * light).sum() / light.sum()))
    return np.array(path)


def ideal(at: tuple[float, float], motion: str) -> np.ndarray:
    """Return where the dot should be: the window's way, computed on its own."""
    path = []
    for index in range(FRAMES):
        part = index / (FRAMES - 1)
        scale = {"zoom_in": ZOOM**-part, "zoom_out": ZOOM ** (part - 1)}.get(motion, 1 / (1 + MIN_PAN))
        travel = (1 - scale) * (part - 0.5)
        x, y = {
            "pan_left": (-travel, 0), "pan_right": (travel, 0), "pan_up": (0, -travel), "pan_down": (0, travel),
        }.get(motion, (0, 0))  # fmt: skip
        path.append(
            tuple(
                ((place + 0.5) / whole - 0.5 - moved) / scale * pixels + pixels / 2 - 0.5
                for place, whole, moved, pixels in zip(at, (1280, 720), (x, y), SIZE, strict=True)
            )
        )
    return np.array(path)


@pytest.mark.slow
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("at", [(331.4, 214.7), (900.2, 540.9)])
def test_a_feature_moves_smoothly_between_pixels(motion, at):
    path, wanted = track(dot(at), motion), ideal(at, motion)

    error = path - wanted
    steps = np.diff(path, axis=0)
    moving = np.abs(wanted[-1] - wanted[0]) > 5  # a fifteenth of a pixel a frame

    assert np.abs(error).max() < 0.05
    assert np.abs(np.diff(error, axis=0)).max() < 0.04  # no jitter from one frame to the next
    for axis in np.flatnonzero(moving):
        assert np.all(np.sign(steps[:, axis]) == np.sign(wanted[-1, axis] - wanted[0, axis]))


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("fit", ["contain", "blur"])
def test_a_picture_that_is_shown_whole_never_leaves_the_frame(motion, fit):
    tall = np.zeros((900, 300, 3), np.uint8)
    tall[:, :, 1] = 200
    tall[:12] = tall[-12:] = (255, 0, 0)
    still = frame_still(tall, fit, motion, SIZE, (0, 0, 0))
    width, height = SIZE
    frame = tuple(np.zeros(shape, np.uint8) for shape in ((height, width), *[(height // 2, width // 2)] * 2))

    for part in (0.0, 0.5, 1.0):
        still.draw(frame, part)
        red = frame[2].astype(int) > 190
        rows = np.flatnonzero(red.any(1))
        assert len(rows) >= 2
        assert rows[-1] - rows[0] > 60  # both of its ends are seen


def test_a_pan_over_a_wide_picture_goes_further():
    near = [window("pan_right", (1.0, 1.0), part).x for part in (0, 1)]
    far = [window("pan_right", (1.25, 1.0), part).x for part in (0, 1)]

    assert far[1] - far[0] == pytest.approx(0.25)
    assert near[1] - near[0] == pytest.approx(1 - 1 / 1.1)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("canvas", [(1.0, 1.0), (1.3, 1.0), (1.0, 1.3)])
def test_a_window_stays_on_its_canvas(motion, canvas):
    for part in np.linspace(0, 1, 11):
        seen = window(motion, canvas, float(part))
        assert abs(seen.x) + seen.scale / 2 <= canvas[0] / 2 + 1e-9
        assert abs(seen.y) + seen.scale / 2 <= canvas[1] / 2 + 1e-9


def test_what_is_always_seen_is_in_the_first_and_the_last_window():
    for motion in MOTIONS:
        wide, high = always_visible(motion)
        for seen in (window(motion, (1, 1), 0.0), window(motion, (1, 1), 1.0)):
            assert abs(seen.x) + wide / 2 <= seen.scale / 2 + 1e-9
            assert abs(seen.y) + high / 2 <= seen.scale / 2 + 1e-9


def test_progress_never_turns_back():
    scales = [window("zoom_in", (1, 1), part).scale for part in np.linspace(0, 1, 50)]

    assert all(after < before for before, after in pairwise(scales))
