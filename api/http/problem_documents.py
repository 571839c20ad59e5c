"""Problem documents (RFC 9457) of plain HTTP statuses. Pure: errors of ours describe themselves in `shared.errors`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
NOT_READY = "not-ready"
# Where werkzeug's own sentence would tell a client too little: code, title and detail.
STATUS_DETAILS = {
    404: ("not-found", "Not found", "There is nothing at this path."),
    405: ("method-not-allowed", "Method not allowed", "This path does not take this method; see Allow."),
    408: ("request-timeout", "Request timeout", "The body did not arrive in time."),
    413: ("too-large", "Too large", "The body is larger than we take."),
    416: ("range-not-satisfiable", "Range not satisfiable", "The file has no such range."),
    429: ("too-fast", "Too many requests", "Requests come too fast. Retry-After says when to go on."),
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
