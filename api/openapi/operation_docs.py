"""What the OpenAPI document says of every route: its scope, its headers, and each answer that it may be given."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from api.http.problem_documents import MEDIA_TYPE

SECURITY, OAUTH, BASIC = "apiKey", "oauth2", "apiKeyAsClient"
HEADERS = {
    "X-Request-ID": ("The request's id, as it was sent or as it was made.", {"type": "string"}),
    "X-Process-Time": ("Seconds that the request took.", {"type": "string"}),
    "Server-Timing": ("The same in milliseconds, for a browser.", {"type": "string"}),
    "RateLimit": ("What is left of the rate limit: `r` requests, for `t` seconds.", {"type": "string"}),
    "RateLimit-Policy": ("The rate limit: `q` requests in `w` seconds.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before asking again.", {"type": "integer"}),
    "Location": ("Where the new thing is.", {"type": "string"}),
    "ETag": ("The answer's tag, for If-None-Match or If-Range.", {"type": "string"}),
    "Idempotent-Replayed": ("`true` where the answer is that of an earlier request.", {"type": "string"}),
    "Content-Range": ("Which part of the file this is, or how long it is.", {"type": "string"}),
    "Accept-Ranges": ("`bytes`: a range of the file can be had.", {"type": "string"}),
    "Content-Disposition": ("What the file is called, and whether to save it.", {"type": "string"}),
    "WWW-Authenticate": ("How to say who you are, and what was wrong with it.", {"type": "string"}),
    "Tus-Resumable": ("The version of tus that is spoken here.", {"type": "string"}),
    "Upload-Offset": ("How many bytes of the upload are safely there.", {"type": "integer"}),
    "Upload-Length": ("How many bytes the upload will have.", {"type": "integer"}),
    "Upload-Defer-Length": ("`1` as long as its length is not known.", {"type": "string"}),
    "Upload-Metadata": ("What was told of the upload when it was made.", {"type": "string"}),
    "Upload-Expires": ("When the upload expires, unless it goes on.", {"type": "string"}),
}
STATUS_PHRASES = {460: "Checksum Mismatch"}  # of tus alone
SCOPE_DESCRIPTIONS = {
    "jobs:read": "See tasks, their files, and what was used.",
    "jobs:write": "Submit, cancel, retry and delete jobs.",
    "assets:read": "See assets.",
    "assets:write": "Upload and delete assets.",
    "templates:write": "Change templates.",
    "keys:write": "Make and revoke API keys; see what signs webhooks.",
    "admin": "See and change all accounts.",
}
_COMMON_HEADERS = ("X-Request-ID", "X-Process-Time", "Server-Timing")
_RATE_LIMITED_HEADERS = (*_COMMON_HEADERS, "RateLimit", "RateLimit-Policy")
_FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")
_STATUS_HEADERS: dict[int, tuple[str, ...]] = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.FORBIDDEN: ("WWW-Authenticate",),
    HTTPStatus.CONFLICT: ("Retry-After",),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: ("Content-Range",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key and body within a day are answered with the first answer, and nothing is done again.",
}


def header_refs(*names: str) -> dict[str, Any]:
    """Return the description of an answer's headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def describe_operation(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to a route what holds for all of them: its scope, its headers, its errors."""
    scope = doc_info.get("scope")
    if doc_info.get("public"):
        doc["security"] = [{}, {BASIC: []}]
    else:
        doc["security"] = [{SECURITY: []}, {OAUTH: [scope] if scope else []}]
    if scope:
        doc["x-scope"] = scope
    read = [*doc_info.get("request_headers", ()), *([IDEMPOTENCY_KEY] if doc_info.get("idempotent") else [])]
    if read:
        doc["parameters"] = [*doc.get("parameters", []), *read]
    if "body" in doc_info:
        doc["requestBody"] = doc_info["body"]
    responses: dict[Any, Any] = doc.setdefault("responses", {})
    responses |= _responses_without_schema(doc_info)
    for status in _error_statuses(doc, doc_info):
        responses[int(status)] = _problem_response(status)
    for response in responses.values():
        if isinstance(response, dict):
            also = doc_info.get("response_headers", ())
            response["headers"] = {
                **response.get("headers", {}),
                **header_refs(*_RATE_LIMITED_HEADERS, *also),
            }
    return doc


def oauth_flows() -> dict[str, Any]:
    """Return how tokens are asked for, as OAuth 2.0 is described."""
    urls = {"tokenUrl": "/v1/auth/token", "refreshUrl": "/v1/auth/refresh", "scopes": SCOPE_DESCRIPTIONS}
    return {"password": urls, "clientCredentials": urls}


def _responses_without_schema(doc_info: dict[str, Any]) -> dict[Any, Any]:
    if doc_info.get("file"):
        part = _file_response("A range of it.", *_FILE_HEADERS, "Content-Range")
        return {
            200: _file_response("The file.", *_FILE_HEADERS),
            206: part,
            304: _not_modified_response(*_FILE_HEADERS),
        }
    if "stream" in doc_info:
        return {status: dict(answer) for status, answer in doc_info["stream"].items()}
    return {}


def _error_statuses(doc: dict[str, Any], doc_info: dict[str, Any]) -> list[int]:
    found: list[int] = [
        HTTPStatus.UNPROCESSABLE_ENTITY,  # no route takes a parameter that it does not know
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
        *doc_info.get("errors", ()),
    ]
    if not doc_info.get("public"):
        found += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if "requestBody" in doc:
        found += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    if doc_info.get("idempotent"):
        found.append(HTTPStatus.CONFLICT)
    if doc_info.get("file"):
        found += [HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE]
    return found


def _file_response(about: str, *names: str) -> dict[str, Any]:
    schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "description": about,
        "content": {"application/octet-stream": {"schema": schema}},
        "headers": header_refs(*names),
    }


def _not_modified_response(*names: str) -> dict[str, Any]:
    return {"description": "Unchanged: the client knows it already.", "headers": header_refs(*names)}


def _problem_response(status: int) -> dict[str, Any]:
    if status == HTTPStatus.NOT_MODIFIED:
        return _not_modified_response("ETag", "Retry-After")
    return {
        "description": STATUS_PHRASES.get(status) or HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "headers": header_refs(*_STATUS_HEADERS.get(status, ())),
    }
