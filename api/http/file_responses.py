"""Sends stored files, whole or a byte range, in constant memory and with headers that keep browsers from running them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Response, request, send_file
from werkzeug.http import dump_options_header

from api.http import conditional_requests
from api.server import offload
from shared.errors import NotFound, Unavailable
from shared.storage.factory import storage

if TYPE_CHECKING:
    from pathlib import Path

    from shared.storage.base import Storage

log = logging.getLogger(__name__)

_HEADERS = {
    # Uploaded bytes are never to be run by a browser under the API's own origin.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


def send_stored_file(key: str, *, media_type: str, sha256: str, name: str, download: bool) -> Response:
    """Return a response with a stored file or the range of it that was asked for; raise NotFound where it is gone."""
    files = storage()
    if files.blocking:
        response = _send_from_disk(files.root / key, media_type, sha256, name, download=download)
    else:
        response = _stream_from_bucket(files, key, media_type, sha256)
        disposition = dump_options_header("attachment" if download else "inline", {"filename": name})
        response.headers["Content-Disposition"] = disposition
    response.headers.update(_HEADERS)
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _send_from_disk(path: Path, media_type: str, sha256: str, name: str, *, download: bool) -> Response:
    """Let gunicorn send the file by sendfile, without reading it here."""
    if not path.is_file():
        raise NotFound("The file no longer exists.")
    facts = path.stat()
    conditional_requests.check_range_conditions(
        # Last-Modified has whole seconds, and this is compared with it.
        sha256,
        facts.st_size,
        datetime.fromtimestamp(int(facts.st_mtime), UTC),
    )
    return send_file(
        path, media_type, as_attachment=download, download_name=name, conditional=True, etag=sha256
    )


def _stream_from_bucket(files: Storage, key: str, media_type: str, sha256: str) -> Response:
    """Stream the file or its range from the bucket."""
    size = files.size(key)
    if size is None:
        raise NotFound("The file no longer exists.")
    conditional_requests.check_range_conditions(sha256, size, None)
    response = Response(mimetype=media_type, direct_passthrough=True)
    response.content_length = size
    response.set_etag(sha256)
    response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    if response.status_code in (200, 206):
        part = response.content_range
        start, stop = (part.start, part.stop) if part else (0, size)
        response.response = files.read(key, start or 0, size if stop is None else stop)
    return response


def delete_stored_file(key: str) -> None:
    """Delete a stored file that no row references. If storage is unavailable, orphan cleanup removes the file later."""
    files = storage()
    try:
        if files.blocking:
            offload.run(files.delete, key)
        else:
            files.delete(key)  # network I/O yields to other greenlets
    except Unavailable as error:
        log.warning("file_not_deleted", extra={"reason": error.detail})
