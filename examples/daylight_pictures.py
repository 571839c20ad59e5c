"""The pictures of the daylight example: a leaning Earth, and day lengths computed for every latitude and date.

A day lasts from the moment when the sun's upper edge appears to when it vanishes, refraction included: the sun's
centre is then 0.833 degrees below the horizon. cos(half a day) = (sin(-0.833) - sin(lat) sin(decl)) /
(cos(lat) cos(decl)), with the declination by Cooper's formula (1969): 23.45 degrees x sin(360/365 x (284 + day)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import paint
import reef_chart
from paint import colour
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from paint import Field

WIDTH, HEIGHT = 1080, 1920
DAYS = np.arange(1, 366)
TILT = 23.45
HORIZON = -0.833
CITIES = (("Quito", -0.2, "#ffd166"), ("Madrid", 40.4, "#ff8f5a"), ("Oslo", 59.9, "#6ec6ff"))
MONTHS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")
# Night to day, by hours of light.
SCALE = ((0, "#0b1026"), (4, "#1b2a5c"), (8, "#3b4f9a"), (11, "#8a6fae"), (12, "#e08a7b"), (14, "#ffb25e"),
         (18, "#ffd977"), (24, "#fff6cf"))  # fmt: skip
LEFT, RIGHT, TOP, BOTTOM = 150, 1010, 470, 1330


def hours(latitude: NDArray[np.float64], day: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the hours of daylight: 24 where the sun does not set, 0 where it does not rise."""
    lean = np.radians(TILT * np.sin(np.radians(360 / 365 * (284 + day))))
    place = np.radians(latitude)
    turn = (math.sin(math.radians(HORIZON)) - np.sin(place) * np.sin(lean)) / (np.cos(place) * np.cos(lean))
    return 24 / math.pi * np.arccos(np.clip(turn, -1, 1))


def globe() -> Image.Image:
    """Draw the Earth at the June solstice: its axis leans to the sun, its lit half reaches over the north pole."""
    rng = np.random.default_rng(2)
    sky = paint.gradient([(0.0, "#060a1c"), (0.6, "#0a1230"), (1.0, "#111b45")], WIDTH, HEIGHT)
    sky = paint.lit(sky, _stars(rng), colour("#eef3ff"))
    sky = paint.lit(sky, _sun() * 0.9, colour("#ffe9b0"))
    picture = _sphere(sky, centre=(560.0, 900.0), radius=395.0)
    image = paint.finished(picture, rng)
    draw = ImageDraw.Draw(image)
    lean = math.radians(TILT)
    dx, dy = math.sin(lean) * 470, math.cos(lean) * 470
    for end in (1, -1):
        outer, inner = (560 + end * dx, 900 - end * dy), (560 + end * dx * 0.84, 900 - end * dy * 0.84)
        draw.line((*outer, *inner), fill="#ffd166", width=5)
    return image


def _stars(rng: np.random.Generator) -> Field:
    """Return stars: points, few of them bright."""
    sky = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(420):
        y, x = int(rng.integers(1, HEIGHT - 1)), int(rng.integers(1, WIDTH - 1))
        bright = 0.25 + 0.75 * float(rng.random()) ** 4
        sky[y, x] = bright
        if bright > 0.55:
            sky[y - 1 : y + 2, x] += bright * 0.5
            sky[y, x - 1 : x + 2] += bright * 0.5
    return np.clip(sky, 0, 1)


def _sun() -> Field:
    """Return light that comes in from the right."""
    x = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :] - 1.25
    y = (np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None] - 0.47) * HEIGHT / WIDTH
    return np.exp(-((x**2 + y**2) / 0.22))


def _sphere(picture: Field, *, centre: tuple[float, float], radius: float) -> Field:
    """Add a ball with a grid of latitudes, lit from the right, with a soft line between day and night."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y = (xs - centre[0]) / radius, (centre[1] - ys) / radius
    far = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - far**2, 0, 1))
    lean = math.radians(TILT)
    along = x * math.sin(lean) + y * math.cos(lean)
    around = np.arctan2(x * math.cos(lean) - y * math.sin(lean), z)
    latitude = np.degrees(np.arcsin(np.clip(along, -1, 1)))
    day = 1 / (1 + np.exp(-(x * 0.985 + z * 0.17) * 16))
    rng = np.random.default_rng(9)
    bands = 0.5 + 0.5 * np.cos(
        np.radians(latitude) * 5 + 2.2 * (paint.clouds(rng, WIDTH, HEIGHT, 6, 4) - 0.5)
    )
    warm = colour("#2b7fb8") + (colour("#7fc4d8") - colour("#2b7fb8")) * bands[..., None]
    ice = np.clip((np.abs(latitude) - 66) / 10, 0, 1)
    skin = warm + (colour("#f4fbff") - warm) * ice[..., None]
    grid = _lines(latitude, 30, 0.5) + _lines(np.degrees(around), 30, 0.5) * np.clip(
        1.2 - np.abs(along), 0, 1
    )
    skin = skin + (1 - skin) * np.clip(grid, 0, 1)[..., None] * 0.25
    circle = np.clip(1.6 - np.abs(latitude - 66.5) * 1.5, 0, 1)
    shaded = skin * (0.05 + 0.95 * day * (0.45 + 0.55 * np.clip(x * 0.985 + z * 0.6, 0, 1)))[..., None]
    shaded = shaded + (colour("#ffd166") - shaded) * (circle * (0.35 + 0.5 * day))[..., None]
    air = np.exp(-(((far - 1) / 0.028) ** 2)) * (0.15 + 0.85 * day)
    picture = paint.over(picture, np.clip((1 - far) * radius / 1.5, 0, 1), shaded)
    return paint.lit(picture, air * 0.6, colour("#9fdcff"))


def _lines(angle: Field, step: float, width: float) -> Field:
    off = np.abs((angle + step / 2) % step - step / 2)
    return np.clip(1.4 - off / width, 0, 1)


def cities() -> Image.Image:
    """Draw three curves: how long the day is through the year, in three cities."""
    image = _paper("Hours of daylight", "through the year")
    big = image.resize((WIDTH * 2, HEIGHT * 2), Image.Resampling.BICUBIC)
    lines = ImageDraw.Draw(big)
    for _, latitude, tint in CITIES:
        length = hours(np.full(365, latitude), DAYS)
        points = [(2 * _x(day), 2 * _y(value, 0, 24)) for day, value in zip(DAYS, length, strict=True)]
        lines.line(points, fill=tint, width=16, joint="curve")
    image = big.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for name, latitude, tint in CITIES:
        longest = float(hours(np.array([latitude]), np.array([172]))[0])
        below = name != "Oslo"  # above, another curve is in the way
        place = (_x(172), _y(longest, 0, 24) + (46 if below else -18))
        words, anchor = f"{name}  {longest:.1f} h", "mt" if below else "mb"
        draw.text(place, words, font=reef_chart.font(38, bold=True), fill=tint, anchor=anchor)
    for value in range(0, 25, 6):
        draw.text(
            (LEFT - 18, _y(value, 0, 24)), f"{value}", font=reef_chart.font(32), fill="#9fb0d8", anchor="rm"
        )
    return image


def world() -> Image.Image:
    """Draw the length of every day of the year at every latitude, as colours."""
    image = _paper("Daylight everywhere", "by date and latitude")
    latitude = np.linspace(89.9, -89.9, BOTTOM - TOP)[:, None]
    day = np.linspace(1, 365, RIGHT - LEFT)[None, :]
    length = hours(latitude, day)
    stops = [hour for hour, _ in SCALE]
    field = np.stack(
        [np.interp(length, stops, [colour(tint)[channel] for _, tint in SCALE]) for channel in range(3)], -1
    )
    edges = np.zeros(length.shape)
    for level in (6, 9, 12, 15, 18):
        slope_y, slope_x = np.gradient(length)
        edges = np.maximum(
            edges, np.clip(1.6 - np.abs(length - level) / np.maximum(np.hypot(slope_x, slope_y), 1e-3), 0, 1)
        )
    field = field + (1 - field) * edges[..., None] * 0.35
    image.paste(Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8)), (LEFT, TOP))
    draw = ImageDraw.Draw(image)
    for degrees, words in ((66.5, "66° N"), (0, "Equator"), (-66.5, "66° S")):
        y = TOP + (90 - degrees) / 180 * (BOTTOM - TOP)
        draw.text((LEFT - 12, y), words, font=reef_chart.font(26), fill="#c7d3f2", anchor="rm")
    for name, degrees, _ in CITIES[1:]:
        y = TOP + (90 - degrees) / 180 * (BOTTOM - TOP)
        draw.line((RIGHT, y, RIGHT + 14, y), fill="#ffffff", width=3)
        draw.text((RIGHT - 12, y), name, font=reef_chart.font(26, bold=True), fill="#ffffff", anchor="rm")
    for words, at in (
        ("Sun all day", (_x(172), TOP + 46)),
        ("No sun", (_x(40), TOP + 30)),
        ("No sun", (_x(172), BOTTOM - 46)),
    ):
        fill = "#5a4a18" if words == "Sun all day" else "#9fb0d8"
        draw.text(at, words, font=reef_chart.font(30, bold=True), fill=fill, anchor="mm")
    return image


def _paper(title: str, under: str) -> Image.Image:
    """Return a dark page with a title, the months along the bottom and lines for the hours."""
    rng = np.random.default_rng(4)
    back = paint.gradient([(0.0, "#18214f"), (0.5, "#10183a"), (1.0, "#090e24")], WIDTH, HEIGHT)
    image = paint.finished(back, rng)
    draw = ImageDraw.Draw(image)
    draw.text((LEFT, 300), title, font=reef_chart.font(84, bold=True), fill="#ffffff", anchor="ls")
    draw.text((LEFT, 370), under, font=reef_chart.font(46), fill="#9fb0d8", anchor="ls")
    for value in range(0, 25, 6):
        draw.line((LEFT, _y(value, 0, 24), RIGHT, _y(value, 0, 24)), fill="#2a3568", width=2)
    for number, letter in enumerate(MONTHS):
        draw.text(
            (_x(15 + number * 30.4), BOTTOM + 46),
            letter,
            font=reef_chart.font(32),
            fill="#9fb0d8",
            anchor="mm",
        )
    return image


def _x(day: float) -> float:
    return LEFT + (day - 1) / 364 * (RIGHT - LEFT)


def _y(value: float, low: float, high: float) -> float:
    return BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "globe.jpg": globe,
    "cities.jpg": cities,
    "world.jpg": world,
}
