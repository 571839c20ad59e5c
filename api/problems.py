"""The error handlers: every 4xx and 5xx is answered as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Flask, Response, current_app, redirect, request
from flask_limiter import RateLimitExceeded
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from api.http.problem_documents import MEDIA_TYPE, problem_for_status
from api.http.request_context import request_id
from shared.errors import ServiceError

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

log = logging.getLogger(__name__)

DEFAULT_RETRY_SECONDS = 2  # where the error itself names no time
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~"  # allowed unescaped in a path (RFC 3986, 3.3)
_FORWARDED_HEADERS = ("Allow", "Content-Range", "Retry-After", "WWW-Authenticate", "Accept-Ranges")


def register(app: Flask) -> None:
    """Register the handlers for all errors of the application."""
    app.register_error_handler(ServiceError, _handle_service_error)
    app.register_error_handler(HTTPException, _handle_http_exception)
    app.register_error_handler(Exception, _handle_unexpected_error)


def problem_response(problem: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Return a problem document as the response to this request."""
    # `instance` must be a valid URI reference, which a raw path may not be.
    instance = quote(request.path, safe=_PATH_CHARACTERS)
    document = {**problem, "instance": instance, "request_id": request_id()}
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    response = Response(body, problem["status"], headers or {}, mimetype=MEDIA_TYPE)
    if problem["status"] not in set(HTTPStatus):  # 460 of tus has no phrase in HTTPStatus
        response.status = f"{problem['status']} {problem['title']}"
    if problem["status"] in (503, 429):
        response.headers.setdefault("Retry-After", str(DEFAULT_RETRY_SECONDS))
    return response


def _handle_service_error(error: ServiceError) -> Response:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", extra={"code": error.code, "reason": _log_reason(error)})
    headers = dict(getattr(error, "headers", {}))
    if seconds := getattr(error, "retry_after", None):
        headers["Retry-After"] = str(math.ceil(seconds))
    return problem_response(error.problem(), headers)


def _log_reason(error: ServiceError) -> str:
    """Return the cause in one line for the log: the driver's message, without the SQL statement and its values."""
    cause = error.__cause__ or error
    return str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]


def _handle_http_exception(error: HTTPException) -> BaseResponse:
    # A path without /v1 is redirected to the versioned one; 308 keeps the method and the body.
    if isinstance(error, NotFound) and (location := _versioned_location()):
        return redirect(location, 308)
    response = error.get_response()
    headers = {name: response.headers[name] for name in _FORWARDED_HEADERS if name in response.headers}
    if isinstance(error, RateLimitExceeded):
        return problem_response(problem_for_status(429), headers)
    return problem_response(problem_for_status(error.code or 500, error.description), headers)


def _handle_unexpected_error(error: Exception) -> Response:
    # The traceback goes to the log alone: it may hold paths, SQL and values.
    log.error("request_unexpected_error", exc_info=error)
    return problem_response(
        problem_for_status(500, "An unexpected error occurred. Quote the request_id when you report it.")
    )


def _versioned_location() -> str | None:
    """Return this path's URL under /v1, or None where there is none."""
    if request.path.startswith("/v1/"):
        return None
    adapter = current_app.create_url_adapter(request)
    if adapter is None or not _is_routed(adapter, f"/v1{request.path}"):
        return None
    # As Latin-1, byte for byte: decoding and encoding again would change escaped characters.
    query = request.query_string.decode("latin-1")
    return f"/v1{quote(request.path, safe=_PATH_CHARACTERS)}" + (f"?{query}" if query else "")


def _is_routed(adapter: Any, path: str) -> bool:
    try:
        adapter.match(path, method=request.method)
    except MethodNotAllowed:
        return True
    except NotFound:
        return False
    return True
