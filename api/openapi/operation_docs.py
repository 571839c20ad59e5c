"""What the OpenAPI document says about every route: its scope, its headers, and each response."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from api.http.problem_documents import MEDIA_TYPE

SECURITY, OAUTH, BASIC = "apiKey", "oauth2", "apiKeyAsClient"
HEADERS = {
    "X-Request-ID": ("The request's id: the one that was sent, or a new one.", {"type": "string"}),
    "X-Process-Time": ("Seconds that the request took.", {"type": "string"}),
    "Server-Timing": ("The same in milliseconds, for browsers' developer tools.", {"type": "string"}),
    "RateLimit": (
        "What remains of the rate limit: `r` requests in the next `t` seconds.",
        {"type": "string"},
    ),
    "RateLimit-Policy": ("The rate limit: `q` requests in `w` seconds.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before asking again.", {"type": "integer"}),
    "Location": ("The path of the new resource.", {"type": "string"}),
    "ETag": ("The version of the resource, for If-None-Match, If-Match or If-Range.", {"type": "string"}),
    "Idempotent-Replayed": (
        "`true` where this is the stored response to an earlier request.",
        {"type": "string"},
    ),
    "Content-Range": ("Which bytes of the file these are, and its length.", {"type": "string"}),
    "Accept-Ranges": ("`bytes`: ranges of the file can be requested.", {"type": "string"}),
    "Content-Disposition": ("The file's name, and whether to show or save it.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate, and what was wrong with the credentials.", {"type": "string"}),
    "Tus-Resumable": ("The version of tus that this server speaks.", {"type": "string"}),
    "Upload-Offset": ("How many bytes of the upload are stored.", {"type": "integer"}),
    "Upload-Length": ("How many bytes the upload will have.", {"type": "integer"}),
    "Upload-Defer-Length": ("`1` while the upload's length is unknown.", {"type": "string"}),
    "Upload-Metadata": ("The metadata given when the upload was created.", {"type": "string"}),
    "Upload-Expires": ("When the upload expires unless more of it arrives.", {"type": "string"}),
}
STATUS_PHRASES = {460: "Checksum Mismatch"}  # defined by tus
SCOPE_DESCRIPTIONS = {
    "jobs:read": "Read tasks, their files, and usage.",
    "jobs:write": "Submit, cancel, retry and delete jobs.",
    "assets:read": "See assets.",
    "assets:write": "Upload and delete assets.",
    "templates:write": "Change templates.",
    "keys:write": "Create and revoke API keys; read and rotate the webhook secret.",
    "admin": "Read and change all accounts.",
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
    "description": "A retry with the same key and body within a day gets the first response again, and nothing is done twice.",
}


def header_refs(*names: str) -> dict[str, Any]:
    """Return references to the descriptions of these response headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def describe_operation(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to a route's description its scope, headers, errors, and what no schema describes."""
    scope = doc_info.get("scope")
    # Generators name their functions by it; the view's name is a verb and an object already.
    doc["operationId"] = doc_info["operation_id"]
    if doc_info.get("public"):
        doc["security"] = [{}, {BASIC: []}] if doc_info.get("accepts_basic") else [{}]
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
    """Return the OAuth 2.0 flows by which tokens are granted."""
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
    statuses: list[int] = [
        HTTPStatus.UNPROCESSABLE_ENTITY,  # every route refuses unknown query parameters
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
        *doc_info.get("errors", ()),
    ]
    if not doc_info.get("public"):
        statuses += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if "requestBody" in doc:
        statuses += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    if doc_info.get("idempotent"):
        statuses.append(HTTPStatus.CONFLICT)
    if doc_info.get("file"):
        statuses += [HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE]
    return statuses


def _file_response(about: str, *names: str) -> dict[str, Any]:
    schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "description": about,
        "content": {"application/octet-stream": {"schema": schema}},
        "headers": header_refs(*names),
    }


def _not_modified_response(*names: str) -> dict[str, Any]:
    return {"description": "Unchanged since the version that the client has.", "headers": header_refs(*names)}


def _problem_response(status: int) -> dict[str, Any]:
    if status == HTTPStatus.NOT_MODIFIED:
        return _not_modified_response("ETag", "Retry-After")
    return {
        "description": STATUS_PHRASES.get(status) or HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "headers": header_refs(*_STATUS_HEADERS.get(status, ())),
    }
