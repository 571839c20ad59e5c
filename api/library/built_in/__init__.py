"""The templates that come along. Each is a data file beside this module; its id is the file's name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@cache
def built_in() -> tuple[str, ...]:
    """Return the ids, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def built_in_body(template_id: str) -> dict[str, Any]:
    """Return a template as a client would have put it."""
    body: dict[str, Any] = json.loads((_FOLDER / f"{template_id}.json").read_text("utf-8"))
    return body
