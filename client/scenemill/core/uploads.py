"""Resumable uploads by tus 1.0.0: they go on where they broke off, also those that an earlier run has begun."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import httpx

from scenemill.core import requests
from scenemill.core.bodies import Blocks, Bytes
from scenemill.core.steps import Request, ask, blocking, policy, sleep
from scenemill.errors import ApiError, IntegrityError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenemill.core.sources import Source, Stream
    from scenemill.core.steps import Flow

    Reader: TypeAlias = Callable[[int, int], Iterator[bytes]]

UPLOADS = "/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
# Bytes that come with the creation, so that what is not accepted is refused before the rest is sent.
FIRST = 64 * 1024
STREAMED = 8 << 20  # bytes of a stream that are in memory until they have arrived
# Another request writes to the upload: most often one of ours, whose connection broke without the server's knowing yet.
BUSY = (409, 423)
PASSING = (*BUSY, 429, 500, 502, 503, 504)
OVER = (404, 410)
PATIENCE = 60.0  # seconds in which not one byte more arrives


class Over(Exception):
    """The upload is no longer there, or became something else than our file: another one must be begun."""


def upload(source: Source) -> Flow[httpx.Response]:
    """Upload a source and return the answer that describes its asset, or raise what stands against it."""
    # By the same key the server gives the upload that an earlier run has begun, of the same file as far as we know.
    for key in (source.key(), str(uuid.uuid4())):
        try:
            return (yield from _under(source, key))
        except Over:
            continue
    raise IntegrityError(f"{source.name} has changed, or arrived damaged: what was stored is another file.")


def upload_stream(stream: Stream) -> Flow[httpx.Response]:
    """Upload a stream of unknown length and return the answer that describes its asset. It is read once, in pieces."""
    created = yield from ask(creation(length=None, key=str(uuid.uuid4())))
    url, offset, digest, name = location(created), 0, hashlib.sha256(), stream.name
    while True:
        piece = yield from blocking(lambda: stream.read(STREAMED))
        digest.update(piece)
        stop = offset + len(piece)
        last = {"Upload-Length": str(stop)} if len(piece) < STREAMED else {}
        asset = yield from _send(url, _reader(piece, offset), (offset, stop), name, last)
        offset = stop
        if last:
            break
    if asset is None:
        raise IntegrityError(f"{name} was sent, and the API does not say what became of it.")
    answer = yield from ask(requests.get(asset))
    if answer.json()["sha256"] != digest.hexdigest():
        raise IntegrityError(f"{name} arrived damaged: what was stored is another file.")
    return answer


def creation(
    *, length: int | None, key: str | None, content: bytes = b"", metadata: str | None = None
) -> Request:
    """Return the request that begins an upload, with its first bytes. Without a length, that comes with the last bytes."""
    size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    described = {"Upload-Metadata": metadata} if metadata else {}
    headers = {**(PIECE if content else TUS), **size, **described, **requests.idempotency(key)}
    return Request(method="POST", path=UPLOADS, headers=headers, body=Bytes(content) if content else None)


def appending(
    url: str, offset: int, body: Blocks | Bytes, size: int, more: dict[str, str] | None = None
) -> Request:
    """Return the request that appends bytes. It is sent once: after a failure only the server knows how far it came."""
    headers = {**PIECE, "Content-Length": str(size), "Upload-Offset": str(offset), **(more or {})}
    return Request(method="PATCH", path=url, headers=headers, body=body, attempts=1)


def state(url: str) -> Request:
    """Return the request that asks how far an upload is."""
    return Request(method="HEAD", path=url, headers=TUS)


def location(answer: httpx.Response) -> str:
    """Return the path of `Location` alone: our key goes to no other host."""
    return httpx.URL(answer.headers["Location"]).raw_path.decode()


def _under(source: Source, key: str) -> Flow[httpx.Response]:
    first = yield from blocking(lambda: b"".join(source.blocks(0, min(FIRST, source.size))))
    created = yield from _unless_over(creation(length=source.size, key=key, content=first))
    asset = yield from _send(location(created), source.blocks, (None, source.size), source.name, {})
    if asset is None:
        raise Over
    answer = yield from _unless_over(requests.get(asset))
    if answer.json()["sha256"] != (yield from blocking(source.sha256)):
        raise Over
    return answer


def _send(
    url: str, read: Reader, span: tuple[int | None, int], name: str, more: dict[str, str]
) -> Flow[str | None]:
    """Send the bytes of a span, however often it breaks off. Return where the asset is, if the upload is complete."""
    (offset, stop), retry = span, (yield from policy())
    best, until, tries = -1, time.monotonic() + PATIENCE, 0
    while True:
        if offset is None:
            seen = yield from _unless_over(state(url))
            if "Location" in seen.headers:
                return location(seen)
            offset = int(seen.headers["Upload-Offset"])
        if offset > best:
            best, until, tries = offset, time.monotonic() + PATIENCE, 0
        if offset == stop and not more:
            return None
        body = Blocks(partial(read, offset, stop - offset))
        outcome = yield from _attempt(appending(url, offset, body, stop - offset, more))
        if isinstance(outcome, httpx.Response):
            if "Location" in outcome.headers:
                return location(outcome)
            offset = int(outcome.headers["Upload-Offset"])
            continue
        if time.monotonic() > until:
            raise Unreachable(f"{name} could not be uploaded: {outcome}") from outcome
        tries, offset = tries + 1, None
        pause = outcome.retry_after if isinstance(outcome, ApiError) else None
        yield from sleep(retry.pause(tries) if pause is None else min(pause, PATIENCE))


def _attempt(request: Request) -> Flow[httpx.Response | ApiError | Unreachable]:
    """Send bytes once, and return what became of it; or raise what cannot be helped by going on."""
    try:
        return (yield from ask(request))
    except Unreachable as error:
        return error
    except ApiError as error:
        if error.status in OVER:
            raise Over from error
        if error.status not in PASSING:
            raise
        return error


def _unless_over(request: Request) -> Flow[httpx.Response]:
    try:
        return (yield from ask(replace(request, idempotent=True)))
    except ApiError as error:
        if error.status in OVER:
            raise Over from error
        raise


def _reader(piece: bytes, start: int) -> Reader:
    def read(offset: int, length: int) -> Iterator[bytes]:
        yield piece[offset - start : offset - start + length]

    return read
