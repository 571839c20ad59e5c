"""Problem documents (RFC 9457) for plain HTTP statuses. Pure. Our own errors describe themselves, in `shared.errors`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
NOT_READY = "not-ready"
# Code, title and detail where werkzeug's own sentence tells a client too little.
STATUS_DETAILS = {
    404: ("not-found", "Not found", "There is nothing at this path."),
    405: (
        "method-not-allowed",
        "Method not allowed",
        "This path does not support this method; Allow lists those it does.",
    ),
    408: (
        "request-timeout",
        "Request timeout",
        "The body did not arrive in time. Large files: use /v1/uploads.",
    ),
    413: ("too-large", "Too large", "The body is larger than this path takes."),
    416: (
        "range-not-satisfiable",
        "Range not satisfiable",
        "The range is outside of the file; see Content-Range.",
    ),
    429: (
        "too-fast",
        "Too many requests",
        "Too many requests in a short time. Wait for the seconds in Retry-After, then go on.",
    ),
}


def problem_for_status(status: int, detail: str | None = None) -> dict[str, Any]:
    """Return the problem document of an HTTP status that no error class of ours stands for."""
    phrase = HTTPStatus(status).phrase
    slug = re.sub(r"[^a-z0-9]+", "-", phrase.lower()).strip("-")
    code, title, usual_detail = STATUS_DETAILS.get(status, (slug, phrase.capitalize(), None))
    return {
        "type": f"/problems/{code}",
        "code": code,
        "title": title,
        "status": status,
        "detail": usual_detail or detail or title,
    }
