"""Adds to the API's errors what a typing error may have meant: the members that a script may have at a place."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any

from scenemill.cli.groups import did_you_mean
from scenemill.types.jobs import ScriptJob, VideoJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scenemill.types.problems import WrongPlace

UNKNOWN = ("unknown", "not known")  # words by which the API says that a member does not exist


def places(errors: Iterable[WrongPlace], job: Any) -> list[tuple[str, str]]:
    """Return each pointer with what is wrong there, and for an unknown member what may have been meant."""
    return [(one.pointer, one.detail + hint(one, job)) for one in errors]


def hint(place: WrongPlace, job: Any) -> str:
    """Return a sentence that names the members near to an unknown one, or nothing."""
    if not any(word in place.detail.lower() for word in UNKNOWN) or "Did you mean" in place.detail:
        return ""
    steps = [
        step.replace("~1", "/").replace("~0", "~") for step in place.pointer.removeprefix("#").split("/")[1:]
    ]
    if not steps:
        return ""
    known = allowed(steps[:-1], job)
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
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
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
