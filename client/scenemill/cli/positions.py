"""Finds the line of a JSON text on which a value stands, given the way to it."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own, without a stub
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SPACE = " \t\n\r"
_decoder = json.JSONDecoder()


def line_of(text: str, steps: Sequence[str]) -> int | None:
    """Return the line of a value, counted from 1, or of the nearest one above it that exists.

    `text` is valid JSON. An empty way leads to the whole, which has no line of its own: None.
    """
    position, found = _skip(text, 0), None
    for step in steps:
        below = _members(text, position, step)
        if below is None:
            break
        found, position = below
    return None if found is None else text.count("\n", 0, found) + 1


def _members(text: str, position: int, step: str) -> tuple[int, int] | None:
    """Return where a member or an item begins, with its name, and where its value does; or None."""
    if text[position] not in "{[":
        return None
    named, number = text[position] == "{", 0
    position = _skip(text, position + 1)
    while text[position] not in "}]":
        begins = position
        name = str(number)
        if named:
            name, position = scanstring(text, position + 1)
            position = _skip(text, _skip(text, position) + 1)
        if name == step:
            return begins, position
        _, position = _decoder.raw_decode(text, position)
        position, number = _skip(text, position), number + 1
        if text[position] == ",":
            position = _skip(text, position + 1)
    return None


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in SPACE:
        position += 1
    return position
