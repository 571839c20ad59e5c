"""Which themes there are. A theme is a data file beside this module; its name is the file's."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def theme_names() -> tuple[str, ...]:
    """Return the names that a script may choose from, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def theme_background_colors(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a theme's backgrounds are made of: its ground colours, and those that glow on them."""
    background = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))["background"]
    glows = tuple(glow["color"] for glow in background.get("glows", ()))
    return tuple(background["colors"]), glows or tuple(background["colors"])
