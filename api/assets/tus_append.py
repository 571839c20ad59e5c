"""Appends request bodies to resumable uploads in constant memory, and creates the asset when an upload is complete.

The offset advances only after fsync. A broken connection or a killed process loses at most the bytes since the last saved
offset; unsaved bytes are truncated before the next append.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.exceptions import RequestTimeout

from api.assets import receiving, tus_headers
from api.assets.receiving import StoredFile
from api.http import bodies, file_responses
from api.http.caller import account_id
from api.http.request_context import config
from api.server import offload
from shared.db import transaction
from shared.errors import AssetUnreadable, Conflict, Gone, Locked, NotFound, UnsupportedMedia
from shared.lifecycle import assets, uploads
from shared.lifecycle.uploads import UploadState
from shared.media import sniffing
from shared.storage import unfinished_uploads
from shared.storage.factory import storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any
    from uuid import UUID

    from shared.models import Upload
    from shared.storage.unfinished_uploads import PartialFile

CHUNK_BYTES = 64 * 1024  # bytes per read: a stalled connection loses no more
SAVE_BYTES = 16 * 1024 * 1024  # between two saved offsets
SAVE_SECONDS = 2.0  # the same, by time
ENDED_DETAILS = {
    UploadState.TERMINATED: "This upload was terminated.",
    UploadState.EXPIRED: "This upload has expired. Start a new one.",
    UploadState.REFUSED: "This upload was refused, since its media type is not supported. Start a new one with another file.",
}


def find_upload(upload_id: UUID) -> Upload:
    """Return the caller's upload, open or finished; raise NotFound or Gone."""
    with transaction() as session:
        upload = uploads.find(session, account_id(), upload_id)
    if upload is None:
        raise NotFound("There is no such upload.")
    if upload.state in ENDED_DETAILS:
        offload.run(unfinished_uploads.remove_upload, config(), upload_id)
        raise Gone(ENDED_DETAILS[UploadState(upload.state)])
    if upload.asset_id is None and not unfinished_uploads.has_bytes(config(), upload_id, upload.received):
        raise Gone("The bytes of this upload were lost. Start a new one.")
    return upload


def append_body(
    upload_id: UUID, offset: int, length: int | None, checksum: tus_headers.Checksum | None
) -> Upload:
    """Append the request's body at the offset, which must be the upload's end, and return the upload."""
    if find_upload(upload_id).asset_id is not None:
        return _check_finished(upload_id, offset)
    with unfinished_uploads.open_exclusively(config(), upload_id) as part:
        upload = find_upload(
            upload_id
        )  # read again under the lock: another request may have appended meanwhile
        if upload.asset_id is None:
            _check_offset(upload, offset, length)
            offload.run(part.truncate, upload.received)
            _Append(upload, part, checksum).receive()
            _create_asset(upload, part)
            return upload
    return _check_finished(upload_id, offset)


def finish_upload(upload: Upload) -> Upload:
    """Create the asset of a complete upload, unless it exists or another request is creating it."""
    if upload.asset_id is not None or upload.received != upload.length:
        return upload
    try:
        with unfinished_uploads.open_exclusively(config(), upload.id) as part:
            upload = find_upload(upload.id)
            if upload.asset_id is None:
                _create_asset(upload, part)
    # Another request holds the upload and is creating the asset; this one reports the state as it is.
    except Locked:
        pass
    return upload


def end_upload(upload_id: UUID, state: UploadState) -> None:
    """End an open upload, and delete its bytes."""
    with transaction() as session:
        uploads.end_upload(session, upload_id, state)
    offload.run(unfinished_uploads.remove_upload, config(), upload_id)


def _check_finished(upload_id: UUID, offset: int) -> Upload:
    """Return a finished upload; raise unless the request appends nothing, at its end."""
    upload = find_upload(upload_id)
    _check_offset(upload, offset, None)
    # Reads the body to refuse any byte: an answer of 204 would claim that they were stored.
    for _ in bodies.read_chunks(0):
        pass
    return upload


def _check_offset(upload: Upload, offset: int, length: int | None) -> None:
    """Raise Conflict unless the offset is the upload's end; set its length if the request states it."""
    if offset != upload.received:
        raise Conflict(
            f"Upload-Offset must be {upload.received}, the number of bytes stored. Continue from there."
        )
    if length is None:
        return
    if upload.length not in (None, length) or length < upload.received:
        raise Conflict(
            "Upload-Length differs from the upload's stated length, or is less than what has arrived."
        )
    upload.length = length


class _Append:
    """One append in progress. `upload.received` is the last saved offset."""

    def __init__(self, upload: Upload, part: PartialFile, checksum: tus_headers.Checksum | None) -> None:
        self._upload = upload
        self._part = part
        self._checksum = checksum
        self._digest = checksum.new_hash() if checksum else None
        self._end = upload.received
        self._saved_at = time.monotonic()

    def receive(self) -> None:
        """Write the body to the file. If it breaks off, save what arrived and raise."""
        with _cut_on_error(self._part, self._upload):
            try:
                for chunk in bodies.read_chunks(self._bytes_left(), CHUNK_BYTES):
                    self._write(chunk)
            except (bodies.IncompleteBody, RequestTimeout):
                if self._checksum is None:
                    self._save()
                raise
            if self._digest and self._checksum and self._digest.digest() != self._checksum.digest:
                raise tus_headers.ChecksumMismatch(
                    "The body does not match Upload-Checksum, and was discarded. Send it again."
                )
            self._save()

    def _bytes_left(self) -> int:
        whole = config().max_asset_bytes if self._upload.length is None else self._upload.length
        return whole - self._end

    def _write(self, chunk: bytes) -> None:
        self._part.write(chunk, self._end)
        before, self._end = self._end, self._end + len(chunk)
        if before < sniffing.HEAD_BYTES <= self._end:
            with _refuse_on_error(self._upload):
                sniffing.sniff(self._part.head(sniffing.HEAD_BYTES))
        if self._digest:
            self._digest.update(chunk)  # with a checksum nothing may be saved before all of it is verified
        elif (
            self._end - self._upload.received >= SAVE_BYTES
            or time.monotonic() > self._saved_at + SAVE_SECONDS
        ):
            self._save()

    def _save(self) -> None:
        """Sync the file, then save the offset."""
        # Sync before saving: after a power failure the saved offset must not lie beyond the bytes on disk.
        offload.run(self._part.sync)
        _save_progress(self._upload, self._end)
        self._saved_at = time.monotonic()


@contextmanager
def _cut_on_error(part: PartialFile, upload: Upload) -> Iterator[None]:
    """Truncate unsaved bytes on an error, since a full disk needs the space."""
    try:
        yield
    # BaseException: a greenlet that is killed at shutdown must truncate too.
    except BaseException:
        offload.run(part.truncate, upload.received)
        raise


@contextmanager
def _refuse_on_error(upload: Upload) -> Iterator[None]:
    """End the upload as refused when its media type is not supported."""
    try:
        yield
    except (UnsupportedMedia, AssetUnreadable):
        end_upload(upload.id, UploadState.REFUSED)
        raise


def _save_progress(upload: Upload, received: int) -> None:
    with transaction() as session:
        expires_at = uploads.record_progress(
            session, upload, received, length=upload.length, expiry=config().upload_expiry
        )
    if expires_at is None:
        raise Gone("This upload was terminated or has expired meanwhile. Start a new one.")
    upload.received, upload.expires_at = received, expires_at


def _create_asset(upload: Upload, part: PartialFile) -> None:
    if upload.received != upload.length:
        return
    with _refuse_on_error(upload):
        sniffing.sniff(part.head(sniffing.HEAD_BYTES))
        facts = receiving.probe_file(part.path, offload.run(_hash_file, part.path))
    file = StoredFile(assets.new_key(upload.account_id), facts, _file_name(upload))
    try:
        _link_to_storage(part.path, file.key)
        with transaction() as session:
            asset = receiving.create_asset(session, file)
            if not uploads.finish(session, upload.id, asset.id):
                file.referenced = False
                raise Gone("This upload was terminated or has expired meanwhile. Start a new one.")
    finally:
        if not file.referenced:
            file_responses.delete_stored_file(file.key)
    upload.asset_id = asset.id
    # Only now: until the asset's row is committed these bytes are the only copy that a retry can use.
    offload.run(part.path.unlink, missing_ok=True)


def _link_to_storage(part: Path, key: str) -> None:
    """Link the file into storage under the key. It also stays in place until the commit is known to have succeeded."""
    place = storage()
    if place.blocking:
        offload.run(place.link, part, key)
    else:
        place.link(part, key)  # network I/O yields to other greenlets


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_name(upload: Upload) -> str | None:
    metadata: dict[str, Any] = tus_headers.parse_metadata(upload.meta)
    name = metadata.get("filename") or metadata.get("name") or b""
    return receiving.clean_file_name(name.decode("utf-8", "replace"))
