"""Reads request bodies: in pieces, never past a limit, and never waiting for ever for the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, RequestTimeout

from api.server import offload
from shared.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 256 * 1024
CHUNK_SECONDS = 30.0  # for one chunk: slower than 9 kB/s is not slow, but somebody who holds a place
BODY_SECONDS = 60.0  # for a body that is read at once


class IncompleteBody(BadRequest):
    """The connection ended before the body did, or the body is malformed from here on."""


def read_chunks(most: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Give the body as it comes; or raise TooLarge: by its stated length before anything is read, else when it is passed.

    Where it breaks off, all that came is given before BrokenOff is raised.
    """
    _check_size(request.content_length or 0, most)
    # One more than we take: werkzeug cuts a body of unknown length off at the limit, and it must not look whole then.
    request.max_content_length = most + 1
    total = 0
    while chunk := _read_chunk(size):
        total += len(chunk)
        _check_size(total, most)
        yield chunk
    if total < (request.content_length or 0):
        raise IncompleteBody("The body broke off.")


def read_all(most: int) -> bytes:
    """Return all of the body."""
    until = time.monotonic() + BODY_SECONDS
    body = bytearray()
    for chunk in read_chunks(most):
        body += chunk
        if time.monotonic() > until:
            raise RequestTimeout
    return bytes(body)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"A body may have {most} bytes here.")


def _read_chunk(size: int) -> bytes:
    try:
        with gevent.Timeout(CHUNK_SECONDS if offload.is_cooperative() else None, RequestTimeout):
            chunk: bytes = request.stream.read(size)
    except HTTPException:
        raise
    except (OSError, ParseException) as error:
        raise IncompleteBody("The body broke off, or its chunks are malformed.") from error
    if offload.is_cooperative():
        # What a fast sender has sent is there already: nothing else gives way to other requests.
        gevent.sleep(0)
    return chunk
