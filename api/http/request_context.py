"""The context of a request: its id, start time, trace and log fields, and its parsed JSON body.

Every response carries `X-Request-ID`, `X-Process-Time` and `Server-Timing`, errors included.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from contextlib import ExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import UnsupportedMediaType

from api.http import bodies, body_memory
from api.server import offload
from shared import logs
from shared.errors import NotFound
from shared.script.schema.loading import count_values, parse_strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
# Long enough for any id in use, short enough for a log line, and without characters that could inject log lines or headers.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def register(app: Flask) -> None:
    """Register the hooks that start and end every request of the application."""
    app.before_request(_start_request)
    body_memory.register(app)
    app.after_request(_add_response_headers)
    app.teardown_request(_unbind_log_context)


def config() -> Settings:
    """Return the settings that the application was created with."""
    header: Settings = current_app.config["SCENEMILL"]
    return header


def request_id() -> str:
    """Return this request's id: the client's X-Request-ID if it is valid, else a new one."""
    if "request_id" not in g:
        header = request.headers.get("X-Request-ID", "")
        g.request_id = header if _REQUEST_ID.fullmatch(header) else uuid.uuid4().hex
    result: str = g.request_id
    return result


def trace_id() -> str | None:
    """Return the trace id in the request's `traceparent` (W3C Trace Context), or None."""
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", "").strip())
    return match[1] if match and set(match[1]) != {"0"} and set(match[2]) != {"0"} else None


def json_body() -> Any:
    """Return the request's JSON, which is read and parsed once; raise UnsupportedMediaType, TooLarge or BadRequest."""
    # Read once: the stream is empty afterwards, and both the parser and the Idempotency-Key need the document.
    if "json_body" not in g:
        encoding = request.headers.get("Content-Encoding", "identity")
        if not _is_json(request.mimetype) or encoding != "identity":
            raise UnsupportedMediaType("The body must be JSON, with Content-Type: application/json.")
        body = bodies.read_all(config().max_body_bytes)
        g.body_size = len(body)
        if len(body) > body_memory.SMALL_BYTES:
            body_memory.reserve_values(count_values(body))
        g.json_body = offload.run_if_large(len(body), parse_strict_json, body)
    return g.json_body


def empty_body_as_object(view: Callable[P, R]) -> Callable[P, R]:
    """Read an absent body as `{}`, whatever its Content-Type: all of its members have defaults."""

    @wraps(view)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        if not request.content_length and "Transfer-Encoding" not in request.headers:
            g.json_body = {}
        return view(*args, **kwargs)

    return read


def canonical_json(document: Any) -> bytes:
    """Return a canonical encoding of a JSON document, so that two can be compared."""
    # `surrogatepass`: lone surrogates are valid JSON escapes, and would otherwise fail here with a 500.
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or (
        mimetype.startswith("application/") and mimetype.endswith("+json")
    )


def _start_request() -> None:
    g.started = time.perf_counter()
    context = {"request_id": request_id(), "trace_id": trace_id()}
    request.environ["scenemill.context"] = g.context = {key: value for key, value in context.items() if value}
    g.bound = ExitStack()
    g.bound.enter_context(logs.bind(**g.context))


def refuse_nul_in_path() -> None:
    """Raise NotFound for a path with a NUL, which Postgres would refuse with an error of its own."""
    if "\0" in request.path:
        raise NotFound("There is nothing at this path.")


def _add_response_headers(response: Response) -> Response:
    # A request that failed before `_start_request` has no start time.
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    response.headers["X-Request-ID"] = request_id()
    response.headers["X-Process-Time"] = f"{seconds:.6f}"
    response.headers["Server-Timing"] = f"total;dur={seconds * 1000:.3f}"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    # By default nothing may be cached: a shared cache would serve one account's data to another.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _unbind_log_context(_: BaseException | None) -> None:
    if bound := g.pop("bound", None):
        bound.close()


def public_url() -> str:
    """Return the address that clients reach the API by, for absolute links."""
    return config().public_url or request.host_url
