"""Takes a piece of an upload in constant memory, and makes an asset of the upload when it is whole.

What came counts when it is on the disk: a connection that breaks, or an API that is killed, loses at most what came since
it was written down last. Bytes that did not count are cut off again.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.exceptions import RequestTimeout

from api.assets import receiving as arriving
from api.assets import tus_headers
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

CHUNK_BYTES = 64 * 1024  # bytes that are read at once: a connection that stands still loses no more
SAVE_BYTES = 16 * 1024 * 1024  # after which what came is written down
SAVE_SECONDS = 2.0  # or after which
ENDED_DETAILS = {
    UploadState.TERMINATED: "This upload was terminated.",
    UploadState.EXPIRED: "This upload has expired. Begin a new one.",
    UploadState.REFUSED: "This upload was refused: its bytes are none of the media that we take.",
}


def find_upload(upload_id: UUID) -> Upload:
    """Return the caller's upload, open or finished; or raise NotFound or Gone."""
    with transaction() as session:
        upload = uploads.find(session, account_id(), upload_id)
    if upload is None:
        raise NotFound("There is no such upload.")
    if upload.state in ENDED_DETAILS:
        offload.run(unfinished_uploads.remove_upload, config(), upload_id)
        raise Gone(ENDED_DETAILS[UploadState(upload.state)])
    if upload.asset_id is None and not unfinished_uploads.has_bytes(config(), upload_id, upload.received):
        raise Gone("The bytes of this upload are no longer there. Begin a new one.")
    return upload


def append_body(
    upload_id: UUID, offset: int, length: int | None, checksum: tus_headers.Checksum | None
) -> Upload:
    """Add the request's body to the upload at this place, which must be its end, and return what it is then."""
    if find_upload(upload_id).asset_id is not None:
        return _check_finished(upload_id, offset)
    with unfinished_uploads.open_exclusively(config(), upload_id) as part:
        upload = find_upload(upload_id)  # as it is now that nobody else can change it
        if upload.asset_id is None:
            _check_offset(upload, offset, length)
            offload.run(part.cut, upload.received)
            _Append(upload, part, checksum).receive()
            _create_asset(upload, part)
            return upload
    return _check_finished(upload_id, offset)


def finish_upload(upload: Upload) -> Upload:
    """Make an asset of an upload that is whole, unless it is one, or another request is doing it; or raise why not."""
    if upload.asset_id is not None or upload.received != upload.length:
        return upload
    try:
        with unfinished_uploads.open_exclusively(config(), upload.id) as part:
            upload = find_upload(upload.id)
            if upload.asset_id is None:
                _create_asset(upload, part)
    except Locked:
        pass
    return upload


def end_upload(upload_id: UUID, state: UploadState) -> None:
    """End an upload that is open, and throw its bytes away."""
    with transaction() as session:
        uploads.end_upload(session, upload_id, state)
    offload.run(unfinished_uploads.remove_upload, config(), upload_id)


def _check_finished(upload_id: UUID, offset: int) -> Upload:
    """Answer for a finished upload: nothing can be added to it, and nothing at its end is nothing."""
    upload = find_upload(upload_id)
    _check_offset(upload, offset, None)
    for _ in bodies.read_chunks(0):
        pass
    return upload


def _check_offset(upload: Upload, offset: int, length: int | None) -> None:
    """Raise Conflict unless the piece begins at the upload's end; take its length from one that tells it."""
    if offset != upload.received:
        raise Conflict(f"The upload has {upload.received} bytes. Go on from there.")
    if length is None:
        return
    if upload.length not in (None, length) or length < upload.received:
        raise Conflict("The length of this upload is another one.")
    upload.length = length


class _Append:
    """A piece that is being received. `upload` tells how far the whole is, as it is written down."""

    def __init__(self, upload: Upload, part: PartialFile, checksum: tus_headers.Checksum | None) -> None:
        self._upload = upload
        self._part = part
        self._checksum = checksum
        self._digest = checksum.new_hash() if checksum else None
        self._end = upload.received
        self._saved_at = time.monotonic()

    def receive(self) -> None:
        """Write the body down, all of it or as much as came; or raise why not."""
        with _cut_on_error(self._part, self._upload):
            try:
                for chunk in bodies.read_chunks(self._bytes_left(), CHUNK_BYTES):
                    self._write(chunk)
            except (bodies.IncompleteBody, RequestTimeout):
                if self._checksum is None:
                    self._save()
                raise
            if self._digest and self._checksum and self._digest.digest() != self._checksum.digest:
                raise tus_headers.ChecksumMismatch("The checksum is another one. What came was thrown away.")
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
            self._digest.update(chunk)  # and nothing counts before all of it came
        elif (
            self._end - self._upload.received >= SAVE_BYTES
            or time.monotonic() > self._saved_at + SAVE_SECONDS
        ):
            self._save()

    def _save(self) -> None:
        """Write down how much is on the disk, once it is."""
        offload.run(self._part.sync)
        _save_progress(self._upload, self._end)
        self._saved_at = time.monotonic()


@contextmanager
def _cut_on_error(part: PartialFile, upload: Upload) -> Iterator[None]:
    """Cut off again what does not count when something goes wrong: a full disk has more use for the room."""
    try:
        yield
    except BaseException:
        offload.run(part.cut, upload.received)
        raise


@contextmanager
def _refuse_on_error(upload: Upload) -> Iterator[None]:
    """End the upload when its bytes are nothing that we take."""
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
        raise Gone("This upload was ended meanwhile.")
    upload.received, upload.expires_at = received, expires_at


def _create_asset(upload: Upload, part: PartialFile) -> None:
    if upload.received != upload.length:
        return
    with _refuse_on_error(upload):
        sniffing.sniff(part.head(sniffing.HEAD_BYTES))
        facts = arriving.probe_file(part.path, offload.run(_hash_file, part.path))
    file = StoredFile(assets.new_key(upload.account_id), facts, _file_name(upload))
    try:
        _link_to_storage(part.path, file.key)
        with transaction() as session:
            asset = arriving.create_asset(session, file)
            if not uploads.finish(session, upload.id, asset.id):
                file.referenced = False
                raise Gone("This upload was ended meanwhile.")
    finally:
        if not file.referenced:
            file_responses.delete_stored_file(file.key)
    upload.asset_id = asset.id
    offload.run(part.path.unlink, missing_ok=True)


def _link_to_storage(part: Path, key: str) -> None:
    """Store the file under the key; it stays where it is too, until that is known to have gone well."""
    place = storage()
    if place.blocking:
        offload.run(place.link, part, key)
    else:
        place.link(part, key)  # it waits for the network, and others go on


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_name(upload: Upload) -> str | None:
    told: dict[str, Any] = tus_headers.parse_metadata(upload.meta)
    name = told.get("filename") or told.get("name") or b""
    return arriving.clean_file_name(name.decode("utf-8", "replace"))
