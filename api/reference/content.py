"""Arranges the OpenAPI document and the problem types for the reference pages. Pure; the templates write the HTML."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from api.http.problem_documents import NOT_READY, STATUS_DETAILS, problem_for_status
from shared import errors

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """A member of an object, or a parameter."""

    name: str
    type: str
    about: str
    required: bool
    refers: tuple[str, ...] = ()  # names of the schemas in its type


@dataclass(frozen=True, slots=True)
class ResponseDoc:
    """A response of an operation."""

    status: str
    about: str
    refers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    scope: str | None
    parameters: tuple[FieldDoc, ...]
    body: tuple[str, ...]
    answers: tuple[ResponseDoc, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one resource."""

    name: str
    about: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class SchemaDoc:
    """A schema."""

    name: str
    about: str
    fields: tuple[FieldDoc, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole reference."""

    title: str
    version: str
    sections: tuple[Section, ...]
    shapes: tuple[SchemaDoc, ...]


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem, with its explanation."""

    title: str
    about: str
    status: int


def build_reference(document: dict[str, Any]) -> Reference:
    """Arrange an OpenAPI document."""
    operations = list(_operations(document))
    sections = tuple(
        Section(
            tag["name"],
            tag.get("description", ""),
            tuple(operation for name, operation in operations if name == tag["name"]),
        )
        for tag in document["tags"]
    )
    schemas = document["components"]["schemas"]
    shapes = tuple(
        SchemaDoc(name, schema.get("description", ""), tuple(_fields(schema)))
        for name, schema in sorted(schemas.items())
    )
    return Reference(document["info"]["title"], document["info"]["version"], sections, shapes)


def problem_types() -> dict[str, ProblemType]:
    """Return every type of problem by its code, those of plain HTTP statuses included."""
    types = {
        NOT_READY: ProblemType(
            "Not ready", "A service that requests need is unreachable; `checks` says which.", 503
        )
    }
    for status in (value for value in HTTPStatus if value >= HTTPStatus.BAD_REQUEST):
        problem = problem_for_status(status)
        about = (
            STATUS_DETAILS[status][2]
            if status in STATUS_DETAILS
            else f"{(status.description or status.phrase).rstrip('.')}."
        )
        types[problem["code"]] = ProblemType(problem["title"], about, status)
    for error in _descendants(errors.ServiceError):
        types[error.code] = ProblemType(error.title, _client_text(error.__doc__ or ""), error.status)
    return types


def _client_text(words: str) -> str:
    """Return a docstring's first paragraph, without sentences about `args`, which address programmers."""
    sentences = re.split(r"(?<=[.:])\s+", inspect.cleandoc(words).partition("\n\n")[0])
    return " ".join(sentence for sentence in sentences if "args[" not in sentence)


def _descendants(base: type[errors.ServiceError]) -> Iterator[type[errors.ServiceError]]:
    yield base
    for subclass in base.__subclasses__():
        if "code" in vars(subclass):
            yield subclass
        yield from (inner for inner in _descendants(subclass) if inner is not subclass)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in document["paths"].items():
        common = methods.get("parameters", [])
        for method, operation in methods.items():
            if method == "parameters":
                continue
            parameters = [*common, *operation.get("parameters", [])]
            yield (
                operation["tags"][0],
                Operation(
                    id=f"{method}-{path.strip('/').replace('/', '-')}",
                    method=method.upper(),
                    path=path,
                    summary=operation.get("summary", ""),
                    about=operation.get("description", ""),
                    scope=operation.get("x-scope"),
                    parameters=tuple(_parameter(value) for value in parameters),
                    body=_content(operation.get("requestBody", {})),
                    answers=tuple(
                        _response_doc(status, value)
                        for status, value in sorted(operation["responses"].items())
                    ),
                ),
            )


def _parameter(parameter: dict[str, Any]) -> FieldDoc:
    about = parameter.get("description") or parameter["schema"].get("description", "")
    where = "" if parameter["in"] == "query" else f" ({parameter['in']})"
    return FieldDoc(
        parameter["name"] + where, _type(parameter["schema"]), about, parameter.get("required", False)
    )


def _response_doc(status: str, response: dict[str, Any]) -> ResponseDoc:
    return ResponseDoc(str(status), response.get("description", ""), _content(response))


def _content(body: dict[str, Any]) -> tuple[str, ...]:
    names = [name for value in body.get("content", {}).values() for name in _names(value.get("schema", {}))]
    return tuple(dict.fromkeys(names))


def _fields(schema: dict[str, Any]) -> Iterator[FieldDoc]:
    required = schema.get("required", [])
    for name, value in schema.get("properties", {}).items():
        yield FieldDoc(
            name,
            _type(value),
            value.get("description", ""),
            name in required,
            tuple(dict.fromkeys(_names(value))),
        )


def _names(schema: Any) -> Iterator[str]:
    """Yield the names of all schemas that this one refers to, also in its parts."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            elif key not in ("discriminator", "properties"):
                yield from _names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names(value)


def _type(schema: dict[str, Any]) -> str:
    """Return a schema's type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(value) for value in schema[key]))
    if "enum" in schema:
        return " | ".join("null" if value is None else str(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}{_bounds(schema, 'minItems', 'maxItems')}"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    form = f" ({schema['format']})" if "format" in schema else ""
    span = _bounds(schema, "minimum", "maximum") or _bounds(schema, "minLength", "maxLength")
    default = f", default {json.dumps(schema['default'])}" if "default" in schema else ""
    return words + form + span + default


def _bounds(schema: dict[str, Any], minimum: str, maximum: str) -> str:
    low, high = schema.get(minimum), schema.get(maximum)
    if low is None or high is None:
        return f", at most {high}" if high is not None else f", at least {low}" if low is not None else ""
    return f", {low} to {high}"
