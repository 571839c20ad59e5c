"""Receives a file in constant memory: refused by its first bytes, hashed on the way to storage, probed when it is there."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from api import audit
from api.http import bodies, file_responses
from api.http.caller import account_id
from api.http.request_context import config
from api.server import offload
from shared.errors import BadRequest, TooLarge
from shared.lifecycle import assets
from shared.media import probing as media
from shared.media import sniffing
from shared.storage.factory import storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from sqlalchemy.orm import Session

    from shared.media.probing import Media
    from shared.models import Asset

SYNC_BYTES = 32 * 1024 * 1024  # bytes; so that the last wait for the disk is a short one
MULTIPART_OVERHEAD = 64 * 1024  # what a multipart body may have beside the file
FILE_PART = "file"
_probing = threading.BoundedSemaphore(4)  # each probe is a process with memory of its own


@dataclass(slots=True)
class IncomingFile:
    """A body that is being received; `name` is known when the first chunk is."""

    chunks: Iterator[bytes]
    name: str | None = None


@dataclass(slots=True)
class StoredFile:
    """A stored file and its facts. Whoever writes a row that names its key says so by `kept`."""

    key: str
    media: Media
    name: str | None
    referenced: bool = False


@contextmanager
def receive_file(key: str) -> Iterator[StoredFile]:
    """Store the request's file under the key. It is gone again unless it is `kept`.

    Once it is kept, not even an error removes it: a commit that seems to fail may have gone through, and a
    file without a row is found and removed later, but a row without its file cannot be mended.
    """
    file = None
    try:
        upload = _incoming_file()
        digest = _store(upload, key)
        file = StoredFile(key, probe_file(storage().locate(key), digest), upload.name)
        yield file
    finally:
        if file is None or not file.referenced:
            file_responses.delete_stored_file(key)


def probe_file(path: Path, sha256: str) -> Media:
    """Return the facts of a file, or raise what is wrong with it. Not too many are looked at at once."""
    with _probing:
        return media.probe(path, sha256=sha256)


def create_asset(session: Session, file: StoredFile) -> Asset:
    """Write a stored file down as an asset of the caller; its bytes are kept unless the account has the same already."""
    asset = assets.create(session, account_id(), file.media, file.key, file.name)
    file.referenced = asset.storage_key == file.key
    audit.record(session, "assets.created", str(asset.id))
    return asset


def clean_file_name(name: str | None) -> str | None:
    """Keep of a client's file name what can be shown; no path is ever made of it."""
    shown = "".join(letter for letter in name or "" if letter.isprintable())[:200]
    return shown or None


def _incoming_file() -> IncomingFile:
    most = config().max_asset_bytes
    multipart = request.mimetype == "multipart/form-data"
    upload = IncomingFile(bodies.read_chunks(most + MULTIPART_OVERHEAD if multipart else most))
    content = _read_multipart(upload, upload.chunks) if multipart else upload.chunks
    upload.chunks = _check_type(_limit_bytes(content, most))
    return upload


def _store(upload: IncomingFile, key: str) -> str:
    """Write the chunks and return the hash of them all."""
    digest, unsynced = hashlib.sha256(), 0
    first = next(upload.chunks)  # before anything is written: most refusals come with it
    with storage().create(key) as file:
        for chunk in _prepend(first, upload.chunks):
            digest.update(chunk)
            file.write(chunk)
            unsynced += len(chunk)
            if unsynced >= SYNC_BYTES:
                unsynced = _sync(file)
        _sync(file)
    return digest.hexdigest()


def _sync(file: IO[bytes]) -> int:
    file.flush()
    offload.run(os.fsync, file.fileno())
    return 0


def _prepend(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _limit_bytes(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise TooLarge(f"A file may have {most} bytes.")
        yield chunk


def _check_type(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Refuse what we do not take by its first bytes, before the others are read."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= sniffing.HEAD_BYTES:
            break
    sniffing.sniff(head[: sniffing.HEAD_BYTES])
    yield head
    yield from chunks


def _read_multipart(upload: IncomingFile, source: Iterator[bytes]) -> Iterator[bytes]:
    """Give the content of a multipart body's one part, which is the file, and note its name."""
    boundary = request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise BadRequest("A multipart body needs a boundary.")
    inside = False
    for event in _multipart_events(
        MultipartDecoder(boundary, bodies.CHUNK_BYTES + MULTIPART_OVERHEAD, max_parts=4), source
    ):
        if isinstance(event, Field | File):
            if inside or event.name != FILE_PART or not isinstance(event, File):
                raise BadRequest(f"A multipart body holds one file, in the part {FILE_PART!r}.")
            inside, upload.name = True, clean_file_name(event.filename)
        elif isinstance(event, Data) and event.data:
            yield event.data
    if not inside:
        raise BadRequest(f"The multipart body has no part {FILE_PART!r}.")


def _multipart_events(decoder: MultipartDecoder, source: Iterator[bytes]) -> Iterator[Any]:
    while True:
        try:
            event = decoder.next_event()
            if isinstance(event, NeedData):
                decoder.receive_data(next(source, None))
        except ValueError as error:
            raise BadRequest("The multipart body is malformed.") from error
        if isinstance(event, Epilogue):
            return
        yield event
