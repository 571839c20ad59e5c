"""Loads input: strict JSON, then a strict schema, and all errors at once with their JSON pointers.

Only here do marshmallow's errors become ours, and only for input that a client sent.
"""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from marshmallow import RAISE, Schema, ValidationError
from marshmallow.exceptions import SCHEMA

from shared.errors import BadRequest, Invalid, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

# No valid document nests half as deep; deeper ones would overflow the stack.
MAX_DEPTH = 64
# A pointer may contain a member name of any length that a client made up, and an error list many of them.
MAX_POINTER = 200
MAX_ERRORS = 1000
# More values than any job has (500 scenes of 20 texts are 70,000); each takes hundreds of bytes.
MAX_VALUES = 200_000
MAX_MEMBERS = 1000  # of an object with known members, of which there are a dozen
# How many more errors are collected in the document being loaded.
_left: ContextVar[list[int] | None] = ContextVar("errors_left", default=None)
# An unterminated string matches as well: searched for again at each of its quotes, it would take quadratic time.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRING = re.compile(STRING, re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BIG_INTEGER = 400  # digits: more than any float has, far fewer than int() refuses


class StrictSchema(Schema):
    """The base of all input schemas: an unknown member is an error."""

    error_messages = {"type": "Must be an object.", "unknown": "Unknown field."}  # noqa: RUF012 - marshmallow declares it so

    class Meta(Schema.Meta):
        """marshmallow's options."""

        unknown = RAISE

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load, but refuse an object with very many unknown members without looking into them."""
        # marshmallow builds an error for each unknown member, which for a million takes minutes.
        if isinstance(data, dict) and len(data) > MAX_MEMBERS:
            raise ValidationError(f"Has more than {MAX_MEMBERS} members.")
        # A nested schema shares the count of the outermost one.
        if _left.get() is not None:
            return super().load(data, **kwargs)
        token = _left.set([MAX_ERRORS])
        try:
            return super().load(data, **kwargs)
        finally:
            _left.reset(token)


class OverLimit(BadRequest):
    """A body that can be read, and has more in it than anything would be made of."""

    status, code, title = TooLarge.status, TooLarge.code, TooLarge.title


def count_values(body: bytes) -> int:
    """Return how many values a JSON text has at most, without building any: commas and brackets in strings count too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _depth(body: bytes) -> int:
    """Return how deep a JSON text nests, as far as that matters, without building any of it."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    return deepest


def parse_strict_json(body: bytes) -> Any:
    """Return the parsed JSON, or raise BadRequest with the position of the error."""
    if count_values(body) > MAX_VALUES:
        raise OverLimit(f"The body has more than {MAX_VALUES} values.")
    if _depth(body) > MAX_DEPTH:
        raise OverLimit(f"The body nests deeper than {MAX_DEPTH} levels.")
    try:
        value = json.loads(
            # Editors on Windows put a byte order mark before JSON.
            body.decode("utf-8-sig"),
            # json keeps the last of two equal members silently; a client would not learn which one counts.
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start + 1} is wrong.") from error
    except JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from error
    return value


def load(schema: Schema, data: Any, at: str = "#") -> Any:
    """Return the loaded `data`, or raise Invalid with the place of each error below the pointer `at`."""
    try:
        return schema.load(data)
    except ValidationError as error:
        raise as_invalid(error, at) from error


def as_invalid(error: ValidationError, at: str = "#") -> Invalid:
    """Return marshmallow's error as Invalid."""
    places = sorted(_places(error_messages(error), ()), key=_order)
    pairs = tuple((json_pointer(at, *path), detail) for path, detail in places[:MAX_ERRORS])
    if len(places) > MAX_ERRORS:
        return Invalid(f"More than {MAX_ERRORS} values are wrong. So many are listed.", pairs)
    return Invalid.listing(pairs)


def remaining_errors() -> int:
    """Return how many more errors are collected."""
    left = _left.get()
    return left[0] if left else MAX_ERRORS


def spend_errors(before: int, errors: Any) -> bool:
    """Count errors found since `before` remained, and return whether the limit is reached."""
    left = _left.get()
    if left is None:
        return False
    left[0] = before - sum(1 for _ in _places(errors, ()))  # nested lists have counted some of them already
    return left[0] < 0


def error_messages(error: ValidationError) -> dict[str, Any]:
    """Return marshmallow's messages as a dict, even where they are about the whole document."""
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def json_pointer(at: str, *path: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of `path` below the pointer `at`."""
    return at + "".join(f"/{_escaped(str(part))}" for part in path)


def _escaped(part: str) -> str:
    readable = part.encode(
        "utf-8", "backslashreplace"
    ).decode()  # an unknown member's name may be a lone surrogate
    if len(readable) > MAX_POINTER:
        readable = readable[:MAX_POINTER] + "…"
    return readable.replace("~", "~0").replace("/", "~1")


def _places(messages: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the path and message of each error: in marshmallow's messages dicts are members or indexes, lists are errors."""
    if isinstance(messages, str):
        yield path, messages
    elif isinstance(messages, list):
        for message in messages:
            yield from _places(message, path)
    else:
        for key, message in messages.items():
            # A client's member may have this very name; it is unknown then, and no other error has that message.
            own = key == SCHEMA and message != [StrictSchema.error_messages["unknown"]]
            yield from _places(message, path if own else (*path, key))


def _order(place: tuple[tuple[str | int, ...], str]) -> list[tuple[int, int, str]]:
    """Return the sort key of a place, with scene 9 before scene 10."""
    return [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in place[0]]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequest(f"The body has the member {_escaped(twice)!r} twice in one object.")
    return members


def _no_constant(name: str) -> Any:
    raise BadRequest(f"The body is not JSON: {name} is not a JSON number.")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _BIG_INTEGER else float(digits)
