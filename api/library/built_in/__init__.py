"""The built-in templates, each a JSON file beside this module. The file's name is the template's id."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@cache
def built_in() -> tuple[str, ...]:
    """Return the ids of the built-in templates, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def built_in_body(template_id: str) -> dict[str, Any]:
    """Return the body of a built-in template, as a client would put it."""
    body: dict[str, Any] = json.loads((_FOLDER / f"{template_id}.json").read_text("utf-8"))
    return body
