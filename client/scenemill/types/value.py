"""What the API answers, read into frozen dataclasses.

A property that a newer server adds is passed over and stays in `raw`; one that an older server lacks takes its default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Value:
    """The base of what the API answers. `raw` is the JSON object that it was read from."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def decode(kind: type[T], body: Any) -> T:
    """Return a JSON object as a value of this class, or raise ValueError where it is something else."""
    if not isinstance(body, Mapping):
        raise ValueError(f"The API's answer should be a {kind.__name__}, a JSON object.")  # noqa: TRY004 (JSON's types)
    hints = _hints(typing.cast("Any", kind))
    values = {name: _convert(hint, body[name]) for name, hint in hints.items() if name in body}
    missing = [name for name in _required(typing.cast("Any", kind)) if name not in values]
    if missing:
        raise ValueError(f"The API's answer is no {kind.__name__}: it lacks {', '.join(missing)}.")
    made: Any = kind
    result: T = made(**values, raw=body)
    return result


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "raw"}


@cache
def _required(kind: Any) -> tuple[str, ...]:
    absent = dataclasses.MISSING
    return tuple(
        one.name
        for one in dataclasses.fields(kind)
        if one.default is absent and one.default_factory is absent
    )


def _convert(hint: Any, value: Any) -> Any:
    """Return a JSON value as what the hint says; one that does not fit stays as it is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (hint, *_) = [one for one in arguments if one is not type(None)]
        return None if value is None else _convert(hint, value)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(arguments[0], one) for one in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _convert(arguments[1], one) for name, one in value.items()}
    if hint is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return decode(typing.cast("type[Any]", hint), value)
    return value
