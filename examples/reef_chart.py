"""The chart of the reef example: how little of the sea is reef, and how much of its life is there.

Figures: coral reefs occupy less than 0.1 % of the ocean and are home to about 25 % of all marine species
(Spalding, Ravilious and Green, World Atlas of Coral Reefs, University of California Press, 2001; as given by
Blackall, Wilson and van Oppen, Molecular Ecology 24, 2015, doi:10.1111/mec.13400).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import paint
from paint import HEIGHT, WIDTH, colour
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

OF = 1000
REEF_OF_THE_SEA = 1  # of a thousand parts of its area; "less than 0.1 %"
SPECIES_ON_REEFS = 250  # of a thousand; "about 25 %"
SOURCE = "Spalding, Ravilious, Green: World Atlas of Coral Reefs, 2001 · Blackall et al., Mol. Ecol. 24, 2015"

COLUMNS, ROWS = 40, 25
CELL, STEP = 15, 20
LEFT, RIGHT, TOP = 110, 1010, 250


def count() -> Image.Image:
    """Draw two fields of a thousand cells, with the reef's share lit in each."""
    rng = np.random.default_rng(3)
    back = paint.gradient([(0.0, "#0b2f52"), (0.6, "#082440"), (1.0, "#051a30")], WIDTH, HEIGHT)
    back = paint.lit(back, paint.rays(rng, WIDTH, HEIGHT, (0.5, -0.5), 2.6) * 0.22, colour("#7fd6ea"))
    picture = paint.finished(back, rng)
    draw = ImageDraw.Draw(picture)
    _field(draw, LEFT, lit=REEF_OF_THE_SEA, first=(12, 27), paint_lit="#ff7f6b", paint_dark="#17598a")
    _field(draw, RIGHT, lit=SPECIES_ON_REEFS, first=(0, 0), paint_lit="#ff9f5a", paint_dark="#1d4a6e")
    _words(draw, LEFT, "1", "in 1,000 parts of the sea is reef, at most", "#ff8f7b")
    _words(draw, RIGHT, "250", "in 1,000 species of the sea live on reefs", "#ffb070")
    draw.text((LEFT, TOP + ROWS * STEP + 28), f"Source: {SOURCE}", font=font(22), fill="#7fa5c2")
    return picture


def _field(
    draw: ImageDraw.ImageDraw, left: int, *, lit: int, first: tuple[int, int], paint_lit: str, paint_dark: str
) -> None:
    """Draw a thousand cells; those that count are lit, column after column from the first on."""
    start = first[1] * ROWS + first[0]
    for number in range(COLUMNS * ROWS):
        column, row = divmod(number, ROWS)
        x, y = left + column * STEP, TOP + row * STEP
        chosen = start <= number < start + lit
        grow = 4 if chosen and lit == 1 else 0
        box = (x - grow, y - grow, x + CELL + grow, y + CELL + grow)
        draw.rounded_rectangle(box, radius=4, fill=paint_lit if chosen else paint_dark)


def _words(draw: ImageDraw.ImageDraw, left: int, number: str, words: str, tint: str) -> None:
    """Write a big number and what it counts, on one base line."""
    big = font(120, bold=True)
    draw.text((left - 4, TOP - 30), number, font=big, fill=tint, anchor="ls")
    after = left + draw.textlength(number, font=big) + 22
    draw.text((after, TOP - 34), words, font=font(32), fill="#dcecf7", anchor="ls")


def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return Inter at a size, from the font pack that the renderer uses too."""
    spec = find_spec("justmytype_western_core")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The font pack justmytype-western-core is not installed.")
    files = sorted((Path(spec.origin).parent / "fonts" / "ofl" / "inter").glob("Inter[[]*.ttf"))
    font = ImageFont.truetype(files[0], size)
    font.set_variation_by_axes([min(32, size), 800 if bold else 450])
    return font


PICTURES: dict[str, Callable[[], Image.Image]] = {"count.jpg": count}
