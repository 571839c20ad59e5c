"""The moving picture of the reef example: a school of fish over a reef, under light that sways."""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np
import paint
import reef_pictures
from paint import colour
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from paint import Field

WIDTH, HEIGHT, RATE, SECONDS = 1280, 720, 25, 6
FISH = 110


@dataclass(frozen=True)
class Fish:
    """One fish: how near it is, where it keeps in the school, and how it beats its tail."""

    near: float
    along: float
    beside: float
    beat: float
    tint: tuple[int, int, int]


def school(rng: np.random.Generator) -> list[Fish]:
    """Return the fish, the far ones first."""
    near = np.sort(rng.uniform(0.25, 1.0, FISH))
    blue, gold = colour("#1d6d99"), colour("#ffc24d")
    fish = []
    for distance in near:
        tint = blue + (gold * rng.uniform(0.85, 1.0) - blue) * float(distance) ** 1.3
        red, green, paint_blue = (np.clip(tint, 0, 1) * 255).astype(int)
        fish.append(
            Fish(
                near=float(distance),
                along=float(rng.normal(0, 0.17)),
                beside=float(rng.normal(0, 0.10)),
                beat=float(rng.uniform(0, 2 * math.pi)),
                tint=(int(red), int(green), int(paint_blue)),
            )
        )
    return fish


def path(place: float) -> tuple[float, float]:
    """Return where the school's line is, in parts of the frame: it comes in low at the left, and rises."""
    return place, 0.56 - 0.20 * math.sin((place - 0.1) * 2.4) + 0.05 * math.sin(place * 7)


def draw_fish(draw: ImageDraw.ImageDraw, fish: Fish, seconds: float) -> None:
    """Draw one fish at one moment: its body, and a darker back."""
    place = -0.28 + seconds * (0.17 + 0.05 * fish.near) + fish.along
    x, y = path(place)
    ahead_x, ahead_y = path(place + 0.01)
    heading = math.atan2((ahead_y - y) * HEIGHT, (ahead_x - x) * WIDTH)
    sway = 0.012 * math.sin(seconds * 2.1 + fish.beat)
    size = 16 + 66 * fish.near**2
    flex = math.sin(seconds * (15 - 5 * fish.near) + fish.beat)
    at = (x * WIDTH, (y + fish.beside * (0.5 + fish.near) + sway) * HEIGHT)
    dark = tuple(int(value * 0.55) for value in fish.tint)
    body, tail, dorsal, belly = paint.fish_outline(*at, size, heading, flex)
    for shape in (tail, dorsal, belly):
        draw.polygon(shape, fill=dark)
    draw.polygon(body, fill=fish.tint)
    draw.polygon([*body[:15], *_raised(body[:15], body[15:])], fill=dark)
    if fish.near > 0.55:
        eye_x, eye_y = body[2][0] * 0.6 + body[-3][0] * 0.4, body[2][1] * 0.6 + body[-3][1] * 0.4
        eye = size * 0.028
        draw.ellipse((eye_x - eye, eye_y - eye, eye_x + eye, eye_y + eye), fill=(12, 24, 36))


def _raised(back: list[tuple[float, float]], belly: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the lower edge of a fish's dark back: a third of the way from its back to its belly."""
    pairs = zip(reversed(back), belly, strict=True)
    return [(bx + (ux - bx) * 0.30, by + (uy - by) * 0.30) for (bx, by), (ux, uy) in pairs]


def backdrop(rng: np.random.Generator) -> Field:
    """Return the water and the reef, which do not move."""
    picture = paint.gradient(
        [(0.0, "#7cd6df"), (0.22, "#2fa3c6"), (0.6, "#0f6396"), (1.0, "#083f6d")], 1920, 1080
    )
    for base, tint, corals, size in (
        (0.80, "#2a7ba7", 8, 90),
        (0.90, "#14557f", 9, 140),
        (1.0, "#083355", 8, 200),
    ):
        mask = reef_pictures.ridge(rng, base, 0.06, corals, size)
        picture = paint.over(
            picture, mask, colour(tint) * (1 + 0.3 * paint.noise(rng, 1920, 1080, 34)[..., None])
        )
    small = [paint.resized(picture[..., channel], WIDTH, HEIGHT) for channel in range(3)]
    return np.stack(small, -1)


def shafts(rng: np.random.Generator) -> tuple[NDArray[np.int32], Field, Field]:
    """Return what the swaying light is looked up from: each pixel's angle to the sun, its fading, the shafts."""
    x = (np.linspace(0, 1, WIDTH // 4, dtype=np.float32)[None, :] - 0.7) * WIDTH / HEIGHT
    y = np.linspace(0, 1, HEIGHT // 4, dtype=np.float32)[:, None] + 0.45
    angle = np.arctan2(x, y)
    place = ((angle - angle.min()) / (angle.max() - angle.min()) * 1023).astype(np.int32)
    times = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    grid = sum(
        np.sin(np.linspace(0, cells, 1024)[None, :] * 6.3 + rng.uniform(0, 6) + way * times[:, None])
        for cells, way in ((3.1, 1), (7.7, -1), (13.3, 2))
    )
    profile = np.clip(grid / 3 * 0.5 + 0.5, 0, 1) ** 3.2
    return place, np.exp(-1.0 * np.hypot(x, y)) * 1.5, profile.astype(np.float32)


def make(target: Path) -> None:
    """Draw every frame, and pipe them to ffmpeg."""
    rng = np.random.default_rng(17)
    fish, still = school(rng), backdrop(rng)
    place, fading, profile = shafts(rng)
    size = f"{WIDTH}x{HEIGHT}"
    taken = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "pipe:0")
    made = (
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "17",
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "+faststart",
    )
    colours = ("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709", "-color_primaries", "bt709",
               "-color_trc", "bt709")  # fmt: skip
    ffmpeg = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        *taken,
        *colours,
        *made,
        "-f",
        "mp4",
        str(target),
    ]
    with subprocess.Popen(ffmpeg, stdin=subprocess.PIPE) as encoder:
        if encoder.stdin is None:
            raise RuntimeError("ffmpeg has no input.")
        for number in range(RATE * SECONDS):
            seconds = number / RATE
            light = _between(profile, seconds / 8 * 64)[place]
            encoder.stdin.write(_frame(still, paint.resized(light * fading, WIDTH, HEIGHT), fish, seconds))
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise RuntimeError("ffmpeg could not encode the clip.")


def _between(profile: Field, step: float) -> Field:
    """Return the shafts between two stored moments."""
    low = int(step)
    part = step - low
    return profile[low % len(profile)] * (1 - part) + profile[(low + 1) % len(profile)] * part


def _frame(still: Field, light: Field, fish: list[Fish], seconds: float) -> bytes:
    picture = paint.lit(still, light * 0.62, colour("#c9f6f4"))
    canvas = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for one in fish:
        draw_fish(draw, one, seconds)
    return canvas.tobytes()
