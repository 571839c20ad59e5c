"""Which themes there are. A theme is a data file beside this module; its name is the file's."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def theme_names() -> tuple[str, ...]:
    """Return the names that a script may choose from, sorted."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.json")))
