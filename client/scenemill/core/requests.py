"""Builds requests: paths from ids, query strings and JSON bodies from Python values."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scenemill.core.bodies import Bytes
from scenemill.core.steps import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenemill.core.bodies import Body

JSON = {"Content-Type": "application/json"}


def path(template: str, *names: object) -> str:
    """Put names into the `{}` of a path. A name stays one segment, whatever it contains."""
    return template.format(*(quote(str(name), safe="") for name in names))


def query(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a query string: those that are None are left out."""
    return {name: _text(value) for name, value in values.items() if value is not None}


def get(where: str, *, headers: Mapping[str, str] | None = None, **parameters: Any) -> Request:
    """Return a GET request with these query parameters."""
    return Request(method="GET", path=where, query=query(parameters), headers=headers or {})


def delete(where: str) -> Request:
    """Return a DELETE request."""
    return Request(method="DELETE", path=where)


def put(where: str, body: Mapping[str, Any]) -> Request:
    """Return a PUT request with a JSON body."""
    return Request(method="PUT", path=where, headers=JSON, body=encoded(body))


def post(where: str, body: Mapping[str, Any] | None = None, **parameters: Any) -> Request:
    """Return a POST request that changes something that exists; it is not repeated after it may have arrived."""
    if body is None:
        return Request(method="POST", path=where, query=query(parameters))
    return Request(method="POST", path=where, query=query(parameters), headers=JSON, body=encoded(body))


def create(
    where: str,
    body: Body,
    idempotency_key: str | None,
    *,
    media_type: str = "application/json",
    **parameters: Any,
) -> Request:
    """Return a POST request that creates something, once, however often it is sent."""
    headers = {"Content-Type": media_type, **idempotency(idempotency_key)}
    return Request(method="POST", path=where, query=query(parameters), headers=headers, body=body)


def idempotency(key: str | None) -> dict[str, str]:
    """Return the header that makes a POST repeatable: with this key, or with a new one."""
    return {"Idempotency-Key": key or str(uuid.uuid4())}


def encoded(value: Any) -> Bytes:
    """Return a value as the body of a request."""
    return Bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def given(**values: Any) -> dict[str, Any]:
    """Return the members of a JSON object that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(_text, value))
    return str(value)


def with_headers(request: Request, headers: Mapping[str, str]) -> Request:
    """Return a request with further headers."""
    return replace(request, headers={**request.headers, **headers})


def safe(request: Request) -> Request:
    """Return a request that may be repeated: it changes nothing, though its method is POST."""
    return replace(request, idempotent=True)
