"""The still pictures of the reef example, one function each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import paint
from paint import FINE, HEIGHT, WIDTH, colour
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from paint import Field


def light() -> Image.Image:
    """Look up from a reef's edge: sun through the surface, coral heads fading into the blue."""
    rng = np.random.default_rng(7)
    picture = paint.gradient(
        [(0.0, "#9fe3ea"), (0.10, "#4cb9d3"), (0.34, "#167fae"), (0.66, "#0a4c80"), (1.0, "#062a52")],
        WIDTH,
        HEIGHT,
    )
    picture = paint.lit(picture, _surface(rng) * 0.75, colour("#e9fbff"))
    picture = paint.lit(picture, paint.glow(WIDTH, HEIGHT, (0.64, -0.04), 0.55) * 0.8, colour("#f4fff4"))
    picture = paint.lit(picture, paint.rays(rng, WIDTH, HEIGHT, (0.64, -0.42), 2.6) * 1.25, colour("#b9f1f5"))
    depths = [(0.68, "#2f7ca6", 7), (0.78, "#1b5f8d", 8), (0.88, "#0f436e", 9), (0.98, "#06243f", 8)]
    for index, (base, tint, corals) in enumerate(depths):
        mask = ridge(rng, base, 0.05 + index * 0.012, corals, 60 + index * 55)
        shade = colour(tint) * (1 + 0.25 * paint.noise(rng, WIDTH, HEIGHT, 30)[..., None])
        picture = paint.over(picture, mask, shade)
        picture = paint.lit(
            picture,
            paint.rays(rng, WIDTH, HEIGHT, (0.64, -0.42), 3.2) * (0.30 - 0.06 * index),
            colour("#9be8f2"),
        )
    picture = _school(picture, rng, centre=(0.30, 0.40), count=46, size=30, tint="#0b4470")
    picture = paint.lit(picture, paint.specks(rng, WIDTH, HEIGHT, 420) * 0.55, colour("#d8f6ff"))
    return paint.finished(paint.vignette(picture, 0.35), rng)


def _surface(rng: np.random.Generator) -> Field:
    """Return the moving light on the underside of the surface: lines that crowd together towards the horizon."""
    texture = paint.clouds(rng, 1024, 1024, 14, 3)
    lines = np.clip(1 - np.abs(texture - 0.5) * 9, 0, 1) ** 2
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
    far = 0.09 / (y + 0.05)
    u = ((x * (0.25 + 1.2 / (far + 0.8)) + 2.0) * 500 % 1024).astype(np.int32)
    v = ((far * 900) % 1024).astype(np.int32)
    return lines[np.broadcast_to(v, u.shape), u] * np.exp(-y * 9.5)


def ridge(rng: np.random.Generator, base: float, rough: float, corals: int, size: float) -> Field:
    """Return the mask of one row of the reef: a hilly line with corals of three kinds on it."""
    canvas = Image.new("L", (WIDTH * FINE, HEIGHT * FINE))
    draw = ImageDraw.Draw(canvas)
    hills = paint.clouds(rng, WIDTH, 8, 5, 4)[4] - 0.5
    line = (base + hills * rough * 4) * HEIGHT
    edge = [(x * FINE, line[x] * FINE) for x in range(0, WIDTH, 6)]
    draw.polygon(
        [(0, HEIGHT * FINE), *edge, (WIDTH * FINE, line[-1] * FINE), (WIDTH * FINE, HEIGHT * FINE)], fill=255
    )
    for place in np.sort(rng.uniform(0.01, 0.99, corals)):
        x, y = place * WIDTH, float(line[min(WIDTH - 1, int(place * WIDTH))]) + size * 0.08
        tall = size * rng.uniform(0.7, 1.35)
        kind = rng.integers(3)
        if kind == 0:
            twigs = paint.branches(
                rng, (x * FINE, y * FINE), tall * FINE * 0.72, tall * 0.13, stems=6, forks=3, spread=0.5
            )
            paint.draw_twigs(draw, twigs, lambda _: 255)
        elif kind == 1:
            wide = tall * rng.uniform(0.7, 1.1)
            draw.ellipse(
                [(x - wide) * FINE, (y - tall * 0.6) * FINE, (x + wide) * FINE, (y + tall * 0.7) * FINE],
                fill=255,
            )
        else:
            _table(draw, x, y, tall)
    return np.asarray(canvas.reduce(FINE), np.float32) / 255


def _table(draw: ImageDraw.ImageDraw, x: float, y: float, tall: float) -> None:
    """Draw a table coral: a stem and a flat plate."""
    stem = tall * 0.11
    draw.polygon([((x - stem) * FINE, y * FINE), ((x + stem) * FINE, y * FINE),
                  ((x + stem * 1.9) * FINE, (y - tall * 0.62) * FINE), ((x - stem * 1.9) * FINE, (y - tall * 0.62) * FINE)],
                 fill=255)  # fmt: skip
    wide = tall * 0.72
    draw.ellipse(
        [(x - wide) * FINE, (y - tall * 0.74) * FINE, (x + wide) * FINE, (y - tall * 0.56) * FINE], fill=255
    )


def _school(
    picture: Field,
    rng: np.random.Generator,
    *,
    centre: tuple[float, float],
    count: int,
    size: float,
    tint: str,
) -> Field:
    """Add a school of fish that swim one way, the far ones smaller and paler."""
    canvas = Image.new("L", (WIDTH * FINE, HEIGHT * FINE))
    draw = ImageDraw.Draw(canvas)
    for _ in range(count):
        near = rng.uniform(0.35, 1.0)
        x = (centre[0] + rng.normal(0, 0.10)) * WIDTH
        y = (centre[1] + rng.normal(0, 0.055)) * HEIGHT
        heading = -0.12 + rng.normal(0, 0.10)
        for shape in paint.fish_outline(x * FINE, y * FINE, size * near * FINE, heading, rng.uniform(-1, 1)):
            draw.polygon(shape, fill=int(90 + 140 * near))
    return paint.over(picture, np.asarray(canvas.reduce(FINE), np.float32) / 255, colour(tint))


def larva() -> Image.Image:
    """Show a coral larva in open water: a glowing body of a millimetre, rowed by its hairs, among plankton."""
    rng = np.random.default_rng(21)
    picture = paint.gradient([(0.0, "#0d5a7d"), (0.45, "#0a3a60"), (1.0, "#051a36")], WIDTH, HEIGHT)
    cloudy = paint.clouds(rng, WIDTH, HEIGHT, 4, 4)
    picture = picture * (0.72 + 0.56 * cloudy[..., None])
    picture = paint.lit(picture, paint.glow(WIDTH, HEIGHT, (0.78, 0.05), 0.7) * 0.42, colour("#7fe4e6"))
    picture = _bokeh(picture, rng, 48)
    picture = paint.lit(picture, paint.specks(rng, WIDTH, HEIGHT, 500) * 0.6, colour("#bdeeff"))
    picture = paint.lit(picture, paint.glow(WIDTH, HEIGHT, (0.47, 0.46), 0.42) * 0.30, colour("#ffb27a"))
    picture = _body(picture, rng, centre=(0.47 * WIDTH, 0.46 * HEIGHT), length=520, tilt=-0.42)
    return paint.finished(paint.vignette(picture, 0.5), rng)


def _bokeh(picture: Field, rng: np.random.Generator, count: int) -> Field:
    """Add lights that are out of focus: discs, brighter at their edge, as a lens makes them."""
    for _ in range(count):
        radius = int(10 + 70 * rng.random() ** 2)
        x, y = int(rng.uniform(0, WIDTH)), int(rng.uniform(0, HEIGHT))
        left, top, right, bottom = (
            max(0, x - radius),
            max(0, y - radius),
            min(WIDTH, x + radius),
            min(HEIGHT, y + radius),
        )
        if left >= right or top >= bottom:
            continue
        ys, xs = np.mgrid[top:bottom, left:right]
        far = np.hypot(xs - x, ys - y).astype(np.float32) / radius
        disc = np.clip((1 - far) * radius / 5, 0, 1) * (0.55 + 0.45 * far**4)
        tint = colour(("#5ff0e6", "#7ec4ff", "#ffb870", "#ff93b0")[int(rng.integers(4))])
        part = picture[top:bottom, left:right]
        picture[top:bottom, left:right] = paint.lit(part, disc * float(rng.uniform(6, 13) / radius), tint)
    return picture


def _body(
    picture: Field, rng: np.random.Generator, *, centre: tuple[float, float], length: float, tilt: float
) -> Field:
    """Add the larva: see-through, light at its rim, with grains inside and a coat of hairs."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    dx, dy = xs - centre[0], ys - centre[1]
    u = (dx * math.cos(tilt) + dy * math.sin(tilt)) / (length / 2)
    v = (-dx * math.sin(tilt) + dy * math.cos(tilt)) / (length / 2)
    radius = 0.43 * np.sqrt(np.clip(1 - u**2, 0, 1)) * (1 + 0.26 * u)
    across = np.abs(v) / np.maximum(radius, 1e-4)
    inside = np.clip((1 - across) * radius * length / 5, 0, 1) * (np.abs(u) < 1)
    thick = np.sqrt(np.clip(1 - across**2, 0, 1))
    picture = _hairs(picture, rng, centre, length, tilt)
    grains = paint.clouds(rng, WIDTH, HEIGHT, 150, 3)
    skin = paint.over(
        np.broadcast_to(colour("#ff7f6b"), picture.shape),
        np.clip(0.10 + 0.60 * thick + 0.25 * (grains - 0.5), 0, 1),
        colour("#ffb27c"),
    )
    shade = 0.86 + 0.30 * np.clip(-v / np.maximum(radius, 0.05), -1, 1) + 0.12 * (grains - 0.5)
    picture = paint.over(picture, inside * 0.55, colour("#3a2440"))
    picture = paint.lit(picture, inside * (0.95 - 0.40 * thick) * shade, skin)
    gut = np.exp(-(((u + 0.05) / 0.55) ** 2 + (v / 0.13) ** 2) * 1.6) * inside
    picture = paint.over(picture, gut * 0.70, colour("#d1402e"))
    picture = paint.lit(
        picture, np.exp(-((u / 0.8) ** 2 + (v / 0.34) ** 2) * 2) * inside * 0.22, colour("#ffb88a")
    )
    rim = np.exp(-(((1 - across) * radius / 0.030) ** 2)) * inside
    picture = paint.lit(picture, rim * 0.85, colour("#fff1d6"))
    shine = np.exp(-(((u - 0.25) / 0.36) ** 2 + ((v + 0.23) / 0.07) ** 2)) * inside
    return paint.lit(picture, shine * 0.55, colour("#ffffff"))


def _hairs(
    picture: Field, rng: np.random.Generator, centre: tuple[float, float], length: float, tilt: float
) -> Field:
    canvas = Image.new("L", (WIDTH * FINE, HEIGHT * FINE))
    draw = ImageDraw.Draw(canvas)
    for turn in np.linspace(0, 2 * math.pi, 420, endpoint=False):
        u = math.cos(turn)
        v = 0.43 * math.sin(turn) * (1 + 0.26 * u)
        beat = 0.35 * math.sin(turn * 9) + float(rng.normal(0, 0.12))
        out = math.atan2(math.sin(turn), u * 0.43) + beat
        reach = float(rng.uniform(0.11, 0.17))
        points = [(u, v), (u + math.cos(out) * reach * 0.6, v + math.sin(out) * reach * 0.6),
                  (u + math.cos(out + beat) * reach, v + math.sin(out + beat) * reach)]  # fmt: skip
        turned = [
            (
                (centre[0] + (pu * math.cos(tilt) - pv * math.sin(tilt)) * length / 2) * FINE,
                (centre[1] + (pu * math.sin(tilt) + pv * math.cos(tilt)) * length / 2) * FINE,
            )
            for pu, pv in points
        ]
        draw.line(turned, fill=int(rng.uniform(90, 190)), width=3, joint="curve")
    return paint.lit(picture, np.asarray(canvas.reduce(FINE), np.float32) / 255 * 0.75, colour("#ffe9c9"))


def colony() -> Image.Image:
    """Show a brain coral close up: winding ridges, as its polyps build them, on a boulder in blue water."""
    rng = np.random.default_rng(11)
    wall = _labyrinth(rng, 2048)
    x = (np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :] - 0.46) * WIDTH / HEIGHT
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None] - 1.02
    far = np.hypot(x, y) / 0.90
    rise = np.sqrt(np.clip(1 - far**2, 0, 1))
    inside = np.clip((1 - far) * 260, 0, 1)
    bumps = 1 + 0.05 * (paint.clouds(rng, WIDTH, HEIGHT, 7, 2) - 0.5)
    stretch = np.arcsin(np.clip(far, 0, 1)) / np.maximum(far, 1e-3) * bumps
    u = ((x * stretch * 1000) % 2048).astype(np.int32)
    v = ((y * stretch * 1000) % 2048).astype(np.int32)
    height = paint.blurred(wall[v, u], 3)
    slope_y, slope_x = np.gradient(height * 15 + rise * 420)
    size = np.sqrt(slope_x**2 + slope_y**2 + 1)
    towards = np.clip((0.42 * slope_x + 0.55 * slope_y + 0.70) / size, 0, 1)
    valley, ridge = colour("#1f6f63"), colour("#d9a05b")
    skin = valley + (ridge - valley) * np.clip(height * 1.15, 0, 1)[..., None]
    skin = skin * (0.80 + 0.40 * paint.clouds(rng, WIDTH, HEIGHT, 60, 3))[..., None]
    stone = skin * (0.24 + 1.05 * towards)[..., None]
    stone = paint.lit(stone, np.clip(towards - 0.80, 0, 1) * 1.5 * height, colour("#fff3d0"))
    water = paint.gradient([(0.0, "#2f9fc4"), (0.5, "#0d5f90"), (1.0, "#07355f")], WIDTH, HEIGHT)
    water = paint.lit(water, paint.rays(rng, WIDTH, HEIGHT, (0.22, -0.4), 2.4) * 1.1, colour("#c9f6f7"))
    water = _school(water, rng, centre=(0.86, 0.20), count=26, size=34, tint="#0a4a78")
    haze = np.clip(0.42 * far**5, 0, 1) * inside
    picture = paint.over(water, inside, stone)
    picture = paint.over(picture, haze, colour("#1b78a6"))
    picture = paint.lit(picture, paint.specks(rng, WIDTH, HEIGHT, 260) * 0.5, colour("#d8f6ff"))
    return paint.finished(paint.vignette(picture, 0.35), rng)


def _labyrinth(rng: np.random.Generator, size: int) -> Field:
    """Return a pattern of winding walls: noise, again and again filtered to one width and pushed to its extremes."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]) * size
    band = np.exp(-(((frequency - 36) / 8.0) ** 2))
    field = rng.normal(0, 1, (size, size)).astype(np.float32)
    for _ in range(14):
        field = np.fft.irfft2(np.fft.rfft2(field) * band, s=(size, size))
        field = np.tanh(field / field.std() * 1.8)
    rounded = np.fft.irfft2(np.fft.rfft2(field) * np.exp(-((frequency / 95) ** 2)), s=(size, size))
    return ((rounded - rounded.min()) / (rounded.max() - rounded.min())).astype(np.float32)


@dataclass(frozen=True)
class Row:
    """A row of corals: how deep in the picture, how many, how big, how much water lies before it."""

    base: float
    count: int
    tall: float
    thick: float
    haze: float
    tint: str


def thicket() -> Image.Image:
    """Show a thicket of branching coral, row behind row, with pale growing tips."""
    rng = np.random.default_rng(5)
    picture = paint.gradient(
        [(0.0, "#7fd3de"), (0.25, "#2f9cc0"), (0.65, "#0e5c8c"), (1.0, "#07345c")], WIDTH, HEIGHT
    )
    picture = paint.lit(picture, paint.glow(WIDTH, HEIGHT, (0.30, -0.08), 0.6) * 0.7, colour("#f4fff4"))
    picture = paint.lit(picture, paint.rays(rng, WIDTH, HEIGHT, (0.30, -0.42), 2.4) * 1.15, colour("#c2f4f6"))
    rows = [
        Row(base=0.62, count=11, tall=190, thick=15, haze=0.74, tint="#7a86b8"),
        Row(base=0.78, count=8, tall=290, thick=25, haze=0.42, tint="#c4608a"),
        Row(base=0.98, count=6, tall=400, thick=40, haze=0.05, tint="#ea7457"),
    ]
    for row in rows:
        picture = _planted(picture, rng, row)
        if row.haze > 0.2:
            centre = (rng.uniform(0.45, 0.75), row.base - 0.34)
            picture = _school(picture, rng, centre=centre, count=18, size=34, tint="#0e4f7c")
    picture = paint.lit(picture, paint.specks(rng, WIDTH, HEIGHT, 300) * 0.5, colour("#d8f6ff"))
    return paint.finished(paint.vignette(picture, 0.35), rng)


def _planted(picture: Field, rng: np.random.Generator, row: Row) -> Field:
    """Add a row of corals: a dark side, a lit side, pale tips; then the water in between, as haze."""
    mask = Image.new("L", (WIDTH * FINE, HEIGHT * FINE))
    layer = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE))
    on_mask, on_layer = ImageDraw.Draw(mask), ImageDraw.Draw(layer)
    dark, bright, tip = colour(row.tint) * 0.36, colour(row.tint), colour("#ffe9d8")

    def shaded(low: Field, high: Field, age: float, tipped: float) -> tuple[int, int, int]:
        mixed = low + (high - low) * age
        mixed = mixed + (tip - mixed) * tipped * max(0.0, age - 0.72) / 0.28
        red, green, blue = (np.clip(mixed, 0, 1) * 255).astype(int)
        return int(red), int(green), int(blue)

    hills = (row.base + 0.08 + 0.10 * (paint.clouds(rng, WIDTH, 8, 6, 3)[4] - 0.5)) * HEIGHT * FINE
    edge = [(x * FINE, float(hills[x])) for x in range(0, WIDTH, 6)]
    ground = [(0, HEIGHT * FINE), *edge, (WIDTH * FINE, float(hills[-1])), (WIDTH * FINE, HEIGHT * FINE)]
    on_mask.polygon(ground, fill=255)
    on_layer.polygon(ground, fill=shaded(dark * 0.5, dark, 0.5, 0))
    for place in rng.permutation(np.linspace(0.02, 0.98, row.count)) + rng.normal(0, 0.02, row.count):
        foot = (place * WIDTH * FINE, (row.base + 0.10) * HEIGHT * FINE)
        twigs = paint.branches(
            rng,
            foot,
            row.tall * rng.uniform(0.8, 1.15) * FINE,
            row.thick * FINE,
            stems=7,
            forks=3,
            spread=0.46,
        )
        paint.draw_twigs(on_mask, twigs, lambda _: 255)
        paint.draw_twigs(on_layer, twigs, lambda twig: shaded(dark * 0.6, dark * 1.5, twig.age, 0.5))
        paint.draw_twigs(
            on_layer,
            twigs,
            lambda twig: shaded(dark * 1.5, bright, twig.age, 0.9),
            narrow=0.62,
            shift=(-0.13, -0.10),
        )
        paint.draw_twigs(
            on_layer,
            twigs,
            lambda twig: shaded(bright * 0.9, bright * 1.25, twig.age, 1.0),
            narrow=0.2,
            shift=(-0.22, -0.14),
        )
    cover = np.asarray(mask.reduce(FINE), np.float32) / 255
    corals = np.asarray(layer.reduce(FINE), np.float32) / 255
    corals = corals / np.maximum(cover, 0.05)[..., None]
    depth = np.linspace(1.12, 0.55, HEIGHT, dtype=np.float32)[:, None, None]
    corals = np.clip(corals * depth, 0, 1)
    corals = corals + (colour("#2486b3") - corals) * row.haze
    return paint.over(picture, cover, corals)


PICTURES = {"light.jpg": light, "larva.jpg": larva, "colony.jpg": colony, "thicket.jpg": thicket}
