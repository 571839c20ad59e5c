"""Compares a type of the client with a schema of the API: each property, both ways, with its JSON type."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

SCALARS = {"string": str, "integer": int, "number": float, "boolean": bool}


class Comparison:
    """Compares with the schemas of one OpenAPI document. `seen` are the names of those that were compared."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self.seen: set[str] = set()
        self._known: dict[tuple[str, str], list[str]] = {}

    def differences(self, schema: dict[str, Any], hint: Any, place: str = "") -> list[str]:
        """Return what differs, each with its place. Alternatives match where each has a counterpart."""
        (ours, none_here), (theirs, null_there) = alternatives(hint), self._alternatives(schema)
        found = [] if none_here or not null_there else [f"{place}: may be null, which {hint} does not say"]
        merged = merge(ours)
        if merged and len(theirs) == 1 and "properties" in self._resolved(theirs[0]):
            self.seen.add(theirs[0].get("$ref", "").rpartition("/")[2])
            return found + self._object(self._resolved(theirs[0]), merged, place)
        for one in theirs:
            tried = [self._single(one, other, place) for other in ours]
            found += min(tried, key=len, default=[f"{place}: {one} is not in the type"])
        for other in ours:
            if not any(not self._single(one, other, place) for one in theirs):
                found.append(f"{place}: {other} is not in the schema")
        return list(dict.fromkeys(found))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _alternatives(self, schema: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        several = schema.get("anyOf") or schema.get("oneOf")
        if several:
            parts = [self._alternatives(each) for each in several]
            return [one for part, _ in parts for one in part], any(null for _, null in parts)
        kind = schema.get("type")
        if isinstance(kind, list):
            return [{**schema, "type": each} for each in kind if each != "null"], "null" in kind
        return ([], True) if kind == "null" else ([schema], False)

    def _single(self, schema: dict[str, Any], hint: Any, place: str) -> list[str]:
        if hint is Any:
            return []
        name = schema.get("$ref", "").rpartition("/")[2]
        if name:
            self.seen.add(name)
            known = (name, str(hint))
            # A visual holds another one as its fallback: what is being compared already is taken as equal.
            if known not in self._known:
                self._known[known] = []
                self._known[known] = self._plain(self._resolved(schema), hint, place)
            return self._known[known]
        return self._plain(schema, hint, place)

    def _plain(self, schema: dict[str, Any], hint: Any, place: str) -> list[str]:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        kind = schema.get("type")
        if "properties" in schema:
            fields = members(hint)
            return (
                [f"{place}: {hint} is no object"] if fields is None else self._object(schema, fields, place)
            )
        if kind == "object" and origin in (dict, Mapping):
            values = schema.get("additionalProperties") or {}
            return self.differences(values, arguments[1], f"{place}/*") if values else []
        if kind == "array" and origin in (list, tuple):
            return self.differences(schema["items"], arguments[0], f"{place}/0") if "items" in schema else []
        if origin is Literal:
            enum = {each for each in schema.get("enum", ()) if each is not None}
            return [] if enum == set(arguments) else [f"{place}: {sorted(map(str, enum))} is not {arguments}"]
        dated = schema.get("format") == "date-time"
        wanted = datetime if dated else SCALARS.get(str(kind))
        return [] if hint is wanted else [f"{place}: {kind} is not {hint}"]

    def _object(self, schema: dict[str, Any], fields: dict[str, tuple[Any, bool]], place: str) -> list[str]:
        properties = schema["properties"]
        found = [f"{place}/{name}: is not in the type" for name in properties.keys() - fields.keys()]
        found += [f"{place}/{name}: is not in the schema" for name in fields.keys() - properties.keys()]
        for name in properties.keys() & fields.keys():
            hint, required = fields[name]
            if required and name not in schema.get("required", ()):
                found.append(f"{place}/{name}: is not required by the schema")
            if not required and name in schema.get("required", ()):
                found.append(f"{place}/{name}: is required by the schema")
            found += self.differences(properties[name], hint, f"{place}/{name}")
        return found


def alternatives(hint: Any) -> tuple[list[Any], bool]:
    """Return the members of a union, and whether None is one of them."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(hint) if each is not type(None)]
        return members, type(None) in typing.get_args(hint)
    return [hint], False


def members(hint: Any) -> dict[str, tuple[Any, bool]] | None:
    """Return the properties of a TypedDict or of a dataclass, each with its type and whether it must be there."""
    if typing.is_typeddict(hint):
        marked = typing.get_type_hints(hint, include_extras=True)
        # Python does not see `Required` in annotations that are text: the marks say so.
        required = {name for name, each in marked.items() if typing.get_origin(each) is typing.Required}
        hints = typing.get_type_hints(hint)
        return {name: (each, name in required | hint.__required_keys__) for name, each in hints.items()}
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return {name: (each, False) for name, each in hints.items() if name != "raw"}
    return None


def merge(hints: list[Any]) -> dict[str, tuple[Any, bool]] | None:
    """Return the properties of several TypedDicts that are one schema, such as the kinds of jobs."""
    if len(hints) < 2 or not all(typing.is_typeddict(each) for each in hints):
        return None
    parts = [members(each) or {} for each in hints]
    merged: dict[str, tuple[Any, bool]] = {}
    for name in {name for part in parts for name in part}:
        found = [part[name] for part in parts if name in part]
        required = len(found) == len(parts) and all(one[1] for one in found)
        merged[name] = (_union([one[0] for one in found]), required)
    return merged


def _union(hints: list[Any]) -> Any:
    first, *rest = dict.fromkeys(hints)
    if rest and all(typing.get_origin(each) is Literal for each in (first, *rest)):
        values = tuple(value for each in (first, *rest) for value in typing.get_args(each))
        return Literal[values]  # type: ignore[valid-type]
    return typing.Union[(first, *rest)] if rest else first
