"""Sends stored files: whole or a range of them, in constant memory, and as nothing that a browser would run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import request, send_file

from shared.errors import NotFound
from shared.storage import storage

if TYPE_CHECKING:
    from flask import Response

# Of ranges we serve one. Other units and several ranges may be answered with the whole file (RFC 9110, 14.2).
_ONE_RANGE = re.compile(r"bytes=\s*(\d+-\d*|-\d+)\s*", re.IGNORECASE)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


def send(key: str, *, media_type: str, sha256: str, name: str, download: bool) -> Response:
    """Answer with a stored file."""
    path = storage().path(key)
    if not path.is_file():
        raise NotFound("The file is no longer there.")
    if not _ONE_RANGE.fullmatch(request.headers.get("Range", "")):
        request.environ.pop("HTTP_RANGE", None)
    response = send_file(
        path, media_type, as_attachment=download, download_name=name, conditional=True, etag=sha256
    )
    response.headers.update(_HEADERS)
    response.headers["Accept-Ranges"] = "bytes"
    return response
