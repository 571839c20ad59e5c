"""Loads themes from `shared/themes`, and computes their colours' contrast."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from shared import themes

MIN_CONTRAST = 4.5


@cache
def load_theme(name: str) -> dict[str, Any]:
    """Return the theme of that name. Raise KeyError; a validated script names none that is missing."""
    if name not in themes.theme_names():
        raise KeyError(name)
    theme: dict[str, Any] = json.loads(resources.files(themes).joinpath(f"{name}.json").read_bytes())
    return theme


def parse_color(color: str) -> tuple[int, int, int]:
    """Return the red, green and blue of `#rrggbb`."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def contrast_ratio(text: str, backing: str, opacity: float = 1.0) -> float:
    """Return WCAG's contrast of a text on a translucent backing over the worst possible picture."""
    under = [
        tuple(opacity * part + (1 - opacity) * ground for part in parse_color(backing)) for ground in (0, 255)
    ]
    return min(_luminance_ratio(_luminance(parse_color(text)), _luminance(ground)) for ground in under)


def _luminance_ratio(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: tuple[float, ...]) -> float:
    linear = [
        part / 255 / 12.92 if part <= 10.31 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
