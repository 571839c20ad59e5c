"""Adds to the API's errors what a typing error may have meant: the members that a script may have at a place."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenemill.cli.groups import did_you_mean
from scenemill.cli.positions import line_of
from scenemill.types.jobs import ScriptJob, VideoJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scenemill.types.problems import WrongPlace

UNKNOWN = ("unknown", "not known")  # words by which the API says that a member does not exist


def _nowhere(_: list[str]) -> int | None:
    return None


@dataclass(frozen=True)
class Posted:
    """What was posted, a job or a batch, and on which line of which text a place of it stands, where that is known."""

    content: Any
    name: str = ""
    line: Callable[[list[str]], int | None] = _nowhere


def in_text(text: str, inside: str = "") -> Callable[[list[str]], int | None]:
    """Return what finds the line of a place in a text that was posted whole, or as the member `inside`."""

    def line(steps: list[str]) -> int | None:
        if inside and steps[:1] != [inside]:
            return None
        return line_of(text, steps[1:] if inside else steps)

    return line


def places(errors: Iterable[WrongPlace], posted: Posted) -> list[tuple[str, str]]:
    """Return each pointer with what is wrong there, on which line, and for an unknown member what was meant."""
    return [_place(one, posted) for one in errors]


def _place(place: WrongPlace, posted: Posted) -> tuple[str, str]:
    steps = [
        step.replace("~1", "/").replace("~0", "~") for step in place.pointer.removeprefix("#").split("/")[1:]
    ]
    line = posted.line(steps)
    name = f"{posted.name}, " if posted.name else ""
    where = f" ({name}line {line})" if line else ""
    return place.pointer, place.detail + hint(place.detail, steps, posted.content) + where


def hint(detail: str, steps: list[str], content: Any) -> str:
    """Return a sentence that names the members near to an unknown one, or nothing."""
    if not steps or not any(word in detail.lower() for word in UNKNOWN) or "Did you mean" in detail:
        return ""
    if steps[0] == "jobs" and len(steps) > 2:  # a batch: its jobs are as one alone
        content, steps = _below(_below(content, "jobs"), steps[1]), steps[2:]
    known = allowed(steps[:-1], content)
    return did_you_mean(steps[-1], known) or (f" Known here: {', '.join(sorted(known))}." if known else "")


def allowed(steps: list[str], job: Any) -> set[str]:
    """Return the members that the object at a place of a job may have: none where they are free."""
    kind = ScriptJob if isinstance(job, dict) and job.get("kind") == "script" else VideoJob
    shapes, value = [typing.cast("Any", kind)], job
    for step in steps:
        value = _below(value, step)
        shapes = [inner for shape in shapes for inner in _inner(shape, step, value)]
    return {name for shape in shapes for name in _members(shape)}


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def _inner(shape: Any, step: str, value: Any) -> Iterator[Any]:
    """Give the shapes that a member or an item may have, given its value."""
    if typing.is_typeddict(shape):
        hints = typing.get_type_hints(shape)
        yield from _fitting(hints.get(step), value)
    elif typing.get_origin(shape) is list:
        yield from _fitting(typing.get_args(shape)[0], value)


def _fitting(hint: Any, value: Any) -> Iterator[Any]:
    """Give the shapes of a union that an object can have by its `type`."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if typing.is_typeddict(option):
            names = typing.get_type_hints(option)
            words = typing.get_args(names.get("type"))
            chosen = value.get("type") if isinstance(value, dict) else None
            if chosen is None or not words or chosen in words:
                yield option
        elif typing.get_origin(option) is list:
            yield option


def _members(shape: Any) -> Iterable[str]:
    return typing.get_type_hints(shape) if typing.is_typeddict(shape) else ()
