"""Brushes for the example's pictures: smooth noise, water, shafts of light, haze, fish, and growing branches.

Pictures are float arrays of height x width x 3 from 0 to 1. Everything is drawn from a seed, so that the same
code makes the same pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Field = NDArray[np.float32]

WIDTH, HEIGHT = 1920, 1080
FINE = 2  # shapes are drawn this much larger and scaled down: smooth edges


def colour(hexadecimal: str) -> Field:
    """Return a colour as three floats."""
    return np.array([int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5)], np.float32) / 255


def resized(field: Field, width: int, height: int) -> Field:
    """Scale a field smoothly."""
    return np.asarray(
        Image.fromarray(field.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    )


def noise(rng: np.random.Generator, width: int, height: int, cells: float) -> Field:
    """Return smooth noise from 0 to 1 with about so many hills across the width."""
    across = max(2, round(cells))
    down = max(2, round(cells * height / width))
    return np.clip(resized(rng.random((down + 3, across + 3), np.float32), width, height), 0, 1)


def clouds(rng: np.random.Generator, width: int, height: int, cells: float, octaves: int = 4) -> Field:
    """Return noise with detail at several sizes."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        total += noise(rng, width, height, cells * 2**octave) / 2**octave
    return total / (2 - 0.5 ** (octaves - 1))


def blurred(field: Field, by: int) -> Field:
    """Blur by about so many pixels, fast: down and up again."""
    height, width = field.shape
    small = resized(field, max(2, width // by), max(2, height // by))
    return resized(small, width, height)


def gradient(stops: list[tuple[float, str]], width: int, height: int) -> Field:
    """Return a picture whose colour changes from top to bottom."""
    at = np.linspace(0, 1, height, dtype=np.float32)
    places = [place for place, _ in stops]
    bands = [np.interp(at, places, [colour(name)[channel] for _, name in stops]) for channel in range(3)]
    return np.repeat(np.stack(bands, -1)[:, None, :], width, axis=1).astype(np.float32)


def over(picture: Field, mask: Field, paint: Field) -> Field:
    """Lay paint, a colour or a picture, on a picture where the mask says so."""
    return picture + (paint - picture) * mask[..., None]


def lit(picture: Field, amount: Field, tint: Field) -> Field:
    """Add light, never past white."""
    return 1 - (1 - picture) * (1 - np.clip(amount, 0, 1)[..., None] * tint)


def rays(
    rng: np.random.Generator, width: int, height: int, source: tuple[float, float], sharpness: float
) -> Field:
    """Return shafts of light from a source above the picture; `source` in parts of width and height."""
    small_w, small_h = width // 2, height // 2
    x = np.linspace(0, 1, small_w, dtype=np.float32)[None, :] - source[0]
    y = np.linspace(0, 1, small_h, dtype=np.float32)[:, None] - source[1]
    angle = np.arctan2(x * width / height, y)
    profile = np.zeros(2048, np.float32)
    for cells, weight in ((9, 1.0), (23, 0.8), (61, 0.5)):
        grid = rng.random(cells).astype(np.float32)
        profile += weight * np.interp(np.linspace(0, cells - 1, 2048), np.arange(cells), grid)
    profile = (profile / profile.max()) ** sharpness
    place = (angle - angle.min()) / (angle.max() - angle.min()) * 2047
    beams = profile[place.astype(np.int32)]
    far = np.sqrt((x * width / height) ** 2 + y**2)
    return resized(blurred(beams * np.exp(-1.1 * far), 3), width, height)


def glow(width: int, height: int, centre: tuple[float, float], radius: float) -> Field:
    """Return a soft round light. Sizes in parts of the height."""
    x = (np.linspace(0, 1, width, dtype=np.float32)[None, :] - centre[0]) * width / height
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None] - centre[1]
    return np.exp(-(x**2 + y**2) / radius**2)


def specks(rng: np.random.Generator, width: int, height: int, count: int) -> Field:
    """Return drifting particles: many small and faint, some near and out of focus."""
    canvas = Image.new("F", (width, height))
    draw = ImageDraw.Draw(canvas)
    for _ in range(count):
        size = float(rng.pareto(2.4)) * 1.3 + 0.7
        size = min(size, 14)
        x, y = rng.random() * width, rng.random() * height
        draw.ellipse((x - size, y - size, x + size, y + size), fill=0.5 / (1 + size * 0.9))
    return blurred(np.asarray(canvas), 2)


def finished(picture: Field, rng: np.random.Generator) -> Image.Image:
    """Return the picture in eight bits. A little grain keeps gradients from showing bands."""
    height, width, _ = picture.shape
    grain = rng.normal(0, 0.006, (height, width, 1)).astype(np.float32)
    shaded = np.clip(picture + grain, 0, 1) * 255
    return Image.fromarray((shaded + 0.5).astype(np.uint8))


def vignette(picture: Field, strength: float) -> Field:
    """Darken the corners."""
    height, width, _ = picture.shape
    return picture * (1 - strength * (1 - glow(width, height, (0.5, 0.48), 1.05)))[..., None]


@dataclass(frozen=True)
class Twig:
    """A piece of a branch: from one point to another, thinner at its end. `age` is 0 at the foot and 1 at the tips."""

    start: tuple[float, float]
    end: tuple[float, float]
    thick: float
    thin: float
    age: float


def branches(
    rng: np.random.Generator,
    foot: tuple[float, float],
    height: float,
    thickness: float,
    *,
    stems: int = 1,
    forks: int = 4,
    spread: float = 0.5,
) -> list[Twig]:
    """Grow a coral from its foot: stems fan out, each branch forks, and all turn up to the light."""
    twigs: list[Twig] = []
    fan = np.linspace(-1.05, 1.05, stems) if stems > 1 else np.zeros(1)
    up = -math.pi / 2
    growing = [
        (
            foot[0] + lean * thickness,
            foot[1],
            up + float(lean + rng.normal(0, 0.1)),
            height / (forks * 0.62),
            thickness,
            0,
        )
        for lean in fan
    ]
    while growing:
        x, y, angle, length, thick, age = growing.pop()
        bend = rng.normal(0, 0.10)
        for step in range(4):
            angle += bend / 2 + (up - angle) * 0.07
            x2, y2 = x + math.cos(angle) * length / 4, y + math.sin(angle) * length / 4
            narrow = thick * (0.97 if age < forks else 0.93)
            twigs.append(Twig((x, y), (x2, y2), thick, narrow, (age + step / 4) / (forks + 1)))
            x, y, thick = x2, y2, narrow
        if age < forks:
            children = 3 if rng.random() < 0.25 else 2
            for lean in np.linspace(-spread, spread, children) + rng.normal(0, 0.16, children):
                shorter = length * rng.uniform(0.70, 0.95)
                growing.append((x, y, angle + float(lean), shorter, thick * 0.88, age + 1))
    return sorted(twigs, key=lambda twig: twig.age)


def draw_twigs(
    draw: ImageDraw.ImageDraw,
    twigs: list[Twig],
    fill: Callable[[Twig], tuple[int, int, int] | int],
    *,
    narrow: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draw branches; with `narrow` and `shift` once more, as their lit side."""
    for twig in twigs:
        (x1, y1), (x2, y2) = twig.start, twig.end
        a, b = twig.thick * narrow / 2, twig.thin * narrow / 2
        x1, y1 = x1 + shift[0] * twig.thick, y1 + shift[1] * twig.thick
        x2, y2 = x2 + shift[0] * twig.thin, y2 + shift[1] * twig.thin
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        nx, ny = (y2 - y1) / length, (x1 - x2) / length
        paint = fill(twig)
        corners = [(x1 + nx * a, y1 + ny * a), (x2 + nx * b, y2 + ny * b), (x2 - nx * b, y2 - ny * b)]
        draw.polygon([*corners, (x1 - nx * a, y1 - ny * a)], fill=paint)
        draw.ellipse((x2 - b, y2 - b, x2 + b, y2 + b), fill=paint)


def fish_outline(
    x: float, y: float, length: float, heading: float, flex: float
) -> Iterator[list[tuple[float, float]]]:
    """Give the polygons of a fish seen from its side: body, tail, fins. `flex` bends the tail, from -1 to 1."""
    along = np.linspace(0, 1, 15)
    half = 0.21 * np.sin(np.pi * along**0.72) * (1 - 0.30 * along)
    spine = flex * 0.10 * along**2
    body = [
        *zip(0.5 - along, spine - half, strict=True),
        *reversed([*zip(0.5 - along, spine + half, strict=True)]),
    ]
    end = float(spine[-1])
    tail = [(-0.40, end * 0.8), (-0.68, end * 1.6 - 0.17), (-0.60, end * 1.5), (-0.68, end * 1.6 + 0.17)]
    dorsal = [(0.18, -0.16), (-0.08, -0.30), (-0.26, -0.12)]
    belly = [(0.02, 0.17), (-0.12, 0.29), (-0.24, 0.12)]
    cos, sin = math.cos(heading), math.sin(heading)
    flip = -1 if cos < 0 else 1
    for shape in (body, tail, dorsal, belly):
        yield [
            (x + length * (px * cos - flip * py * sin), y + length * (px * sin + flip * py * cos))
            for px, py in shape
        ]
