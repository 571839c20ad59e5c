"""Reads request bodies in chunks, with a limit on their size and on the time that each chunk may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, RequestTimeout

from api.http import body_memory
from api.server import offload
from shared.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 256 * 1024
CHUNK_SECONDS = 30.0  # for one chunk: a client slower than 9 kB/s only occupies a connection
BODY_SECONDS = 60.0  # for a whole body that is read at once


class IncompleteBody(BadRequest):
    """The connection ended before the body did, or the rest of the body is malformed."""


def read_chunks(max_bytes: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the body's chunks as they arrive. Raise TooLarge: before reading where Content-Length says so, else at the limit.

    Where the body breaks off, everything that arrived is yielded before IncompleteBody is raised.
    """
    _check_size(request.content_length or 0, max_bytes)
    # One byte more than allowed: werkzeug truncates a body of unknown length at the limit, and it would pass as complete.
    request.max_content_length = max_bytes + 1
    total = 0
    while chunk := _read_chunk(size):
        total += len(chunk)
        _check_size(total, max_bytes)
        yield chunk
    if total < (request.content_length or 0):
        raise IncompleteBody("The connection ended before the whole body had arrived. Send it again.")


def read_all(max_bytes: int) -> bytes:
    """Return the whole body; raise TooLarge, IncompleteBody, Unavailable, or RequestTimeout after a minute.

    Its size is reserved in `body_memory` until the request ends.
    """
    stated_bytes = request.content_length or 0
    _check_size(stated_bytes, max_bytes)
    body_memory.reserve_bytes(stated_bytes)
    until = time.monotonic() + BODY_SECONDS
    body = bytearray()
    for chunk in read_chunks(max_bytes):
        body += chunk
        if len(body) > stated_bytes:  # its length was not stated
            body_memory.reserve_bytes(len(chunk))
        if time.monotonic() > until:
            raise RequestTimeout
    return bytes(body)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(f"The body has more than {max_bytes} bytes, the most that this path takes.")


def _read_chunk(size: int) -> bytes:
    try:
        with gevent.Timeout(CHUNK_SECONDS if offload.is_cooperative() else None, RequestTimeout):
            chunk: bytes = request.stream.read(size)
    # Timeouts and limits have statuses of their own, and are no broken connections.
    except HTTPException:
        raise
    except (OSError, ParseException) as error:
        raise IncompleteBody(
            "The connection ended before the whole body had arrived, or its chunks are malformed."
        ) from error
    if offload.is_cooperative():
        # A fast sender's data is always ready, so that reading never waits: without this no other request would run.
        gevent.sleep(0)
    return chunk
