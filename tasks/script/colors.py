"""Scene backgrounds from a theme's colors: gradients dark enough for white text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.themes import theme_background_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

# White text on this relative luminance has a contrast of 7:1 by WCAG.
MAX_LUMINANCE = 0.1
_SHARES = (0.55, 0.4, 0.7)  # how much of the glow color is in a gradient's lighter end, in turn


def scene_gradients(number: int, theme: str = "slate") -> list[list[str]]:
    """Return a gradient for each scene, as two colors; directions alternate, so that neighbours differ."""
    grounds, glows = theme_background_colors(theme)
    return [_gradient(grounds, glows, scene) for scene in range(number)]


def luminance(color: str) -> float:
    """Return the relative luminance of `#rrggbb`, 0 to 1, as WCAG defines it."""
    red, green, blue = (_linear(part / 255) for part in _parts(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _gradient(grounds: Sequence[str], glows: Sequence[str], scene: int) -> list[str]:
    deep = grounds[scene % len(grounds)]
    clear = _mix(deep, glows[scene % len(glows)], _SHARES[scene % len(_SHARES)])
    pair = [_darken(deep), _darken(clear)]
    return pair if scene % 2 == 0 else pair[::-1]


def _darken(color: str) -> str:
    while luminance(color) > MAX_LUMINANCE:
        color = _mix(color, "#000000", 0.1)
    return color


def _mix(color: str, other: str, share: float) -> str:
    pairs = zip(_parts(color), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parts(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
