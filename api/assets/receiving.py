"""Receives an uploaded file in constant memory: checks its type by the first bytes, hashes, stores and probes it."""

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

SYNC_BYTES = 32 * 1024 * 1024  # bytes between two fsyncs, so that the last one does not take seconds
MULTIPART_OVERHEAD = 64 * 1024  # bytes that a multipart body may have beside the file
FILE_PART = "file"
_probing = threading.BoundedSemaphore(4)  # each probe runs a process of its own


@dataclass(slots=True)
class IncomingFile:
    """A request body that is being received; `name` is set once the first chunk has been read."""

    chunks: Iterator[bytes]
    name: str | None = None


@dataclass(slots=True)
class StoredFile:
    """A stored file and its probed properties. Set `referenced` when a row names its key."""

    key: str
    media: Media
    name: str | None
    referenced: bool = False


@contextmanager
def receive_file(key: str) -> Iterator[StoredFile]:
    """Store the request's file under the key, and delete it afterwards unless it is `referenced`.

    A referenced file stays even on an error: a commit that seems to fail may have gone through. Orphan cleanup finds a
    file without a row, but a row without its file could not be repaired.
    """
    file = None
    try:
        upload = _incoming_file()
        digest = _store(upload, key)
        file = StoredFile(key, probe_file(storage().locate(key), digest), upload.name)
        yield file
    finally:
        if file is None or not file.referenced:
            # Also when the client disconnects: an upload that broke off must not use up storage.
            file_responses.delete_stored_file(key)


def probe_file(path: Path, sha256: str) -> Media:
    """Return a file's probed properties, or raise UnsupportedMedia or AssetUnreadable. Few files are probed at a time."""
    # A thousand uploads that end at once would start a thousand processes.
    with _probing:
        return media.probe(path, sha256=sha256)


def create_asset(session: Session, file: StoredFile) -> Asset:
    """Insert a stored file as an asset of the caller. If the account has the same bytes already, the file stays unreferenced."""
    asset = assets.create(session, account_id(), file.media, file.key, file.name)
    file.referenced = asset.storage_key == file.key
    audit.record(session, "assets.created", str(asset.id))
    return asset


def clean_file_name(name: str | None) -> str | None:
    """Return the printable characters of a client's file name, or None. It is only displayed, never used as a path."""
    cleaned = "".join(letter for letter in name or "" if letter.isprintable())[:200]
    return cleaned or None


def _incoming_file() -> IncomingFile:
    max_bytes = config().max_asset_bytes
    multipart = request.mimetype == "multipart/form-data"
    upload = IncomingFile(bodies.read_chunks(max_bytes + MULTIPART_OVERHEAD if multipart else max_bytes))
    content = _read_multipart(upload, upload.chunks) if multipart else upload.chunks
    upload.chunks = _check_type(_limit_bytes(content, max_bytes))
    return upload


def _store(upload: IncomingFile, key: str) -> str:
    """Write the chunks to storage and return their SHA-256."""
    digest, unsynced = hashlib.sha256(), 0
    first = next(upload.chunks)  # before any write: most refused files fail here
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
    # In a thread: fsync blocks for as long as the disk takes, and gevent cannot yield in it.
    offload.run(os.fsync, file.fileno())
    return 0


def _prepend(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _limit_bytes(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise TooLarge(f"The file has more than {max_bytes} bytes, the most that is accepted.")
        yield chunk


def _check_type(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Check the media type by the first bytes, before the rest is read."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= sniffing.HEAD_BYTES:
            break
    sniffing.sniff(head[: sniffing.HEAD_BYTES])
    yield head
    yield from chunks


def _read_multipart(upload: IncomingFile, source: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of a multipart body's only part, the file, and set its name."""
    boundary = request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise BadRequest("The Content-Type of a multipart body must name its boundary.")
    inside = False
    for event in _multipart_events(
        MultipartDecoder(boundary, bodies.CHUNK_BYTES + MULTIPART_OVERHEAD, max_parts=4), source
    ):
        if isinstance(event, Field | File):
            if inside or event.name != FILE_PART or not isinstance(event, File):
                raise BadRequest(
                    f"A multipart body must have one file, in the part {FILE_PART!r}, and nothing else."
                )
            inside, upload.name = True, clean_file_name(event.filename)
        elif isinstance(event, Data) and event.data:
            yield event.data
    if not inside:
        raise BadRequest(f"The multipart body has no part {FILE_PART!r}. Send the file in it.")


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
