"""The built-in themes: data files beside this module, each named after its theme."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def theme_names() -> tuple[str, ...]:
    """Return the names of all themes, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def theme_background_colors(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a theme's background colours and its glow colours."""
    background = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))["background"]
    glows = tuple(glow["color"] for glow in background.get("glows", ()))
    return tuple(background["colors"]), glows or tuple(background["colors"])
