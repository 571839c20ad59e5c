"""The files of unfinished uploads, in a folder that all API processes share.

Only the bytes that the row counts are final; the next writer cuts off the rest. Writers exclude each other with a
kernel lock, which is released when its process dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import Gone, Locked
from shared.storage.base import disk_full_as_storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from shared.settings import Settings

FOLDER_NAME = "uploads"
# A file is deleted when it was last written longer ago than any row lives, plus this for clocks that differ.
CLEANUP_GRACE_SECONDS = 3 * 3600.0


def upload_folder(config: Settings) -> Path:
    """Return the folder of unfinished uploads: in the storage's folder where there is one, so that a rename finishes a file."""
    if config.upload_dir is not None:
        return config.upload_dir
    if config.storage_url.startswith("s3://"):
        return config.work_dir / FOLDER_NAME
    return Path(config.storage_url.removeprefix("file://")) / FOLDER_NAME


def upload_path(config: Settings, upload_id: UUID) -> Path:
    """Return the path of an upload's file, whether or not there is one."""
    return upload_folder(config) / upload_id.hex


def remove_upload(config: Settings, upload_id: UUID) -> None:
    """Delete an upload's file; a missing one is no error."""
    upload_path(config, upload_id).unlink(missing_ok=True)


def has_bytes(config: Settings, upload_id: UUID, size: int) -> bool:
    """Return whether the file has at least so many bytes."""
    with suppress(FileNotFoundError):
        return upload_path(config, upload_id).stat().st_size >= size
    return size == 0


def remove_orphans(config: Settings) -> int:
    """Delete the files of uploads that no longer exist, and return how many."""
    before = time.time() - config.upload_expiry.total_seconds() - CLEANUP_GRACE_SECONDS
    removed = 0
    for part in upload_folder(config).glob("*"):
        with suppress(FileNotFoundError):
            if part.stat().st_mtime < before:
                part.unlink()
                removed += 1
    return removed


class PartialFile:
    """An upload's file, locked for one writer."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def truncate(self, size: int) -> None:
        """Truncate the file to `size`; raise Gone if it has fewer bytes."""
        there = os.fstat(self._descriptor).st_size
        if there < size:
            raise Gone("The bytes of this upload are no longer there. Begin a new one.")
        # Bytes that no row counts: a request died after writing them, and their content is unknown to the client.
        if there > size:
            os.ftruncate(self._descriptor, size)

    def write(self, data: bytes, offset: int) -> None:
        """Write all of the data at `offset`, or raise StorageFull."""
        rest = memoryview(data)
        with disk_full_as_storage_error():
            while rest:
                # pwrite may write less than it was given, e.g. when the disk fills up.
                written = os.pwrite(self._descriptor, rest, offset)
                rest, offset = rest[written:], offset + written

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        return os.pread(self._descriptor, size, 0)

    def sync(self) -> None:
        """Fsync the file, or raise StorageFull."""
        with disk_full_as_storage_error():
            os.fsync(self._descriptor)


@contextmanager
def open_exclusively(config: Settings, upload_id: UUID) -> Iterator[PartialFile]:
    """Open the upload's file for one writer, created if needed; raise Locked at once if another one has it."""
    path = upload_path(config, upload_id)
    descriptor = _open(path)
    try:
        try:
            # Without waiting: a client that resumes while its old request still hangs should learn it at once.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked("Another request is writing to this upload.") from error
        yield PartialFile(path, descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    with disk_full_as_storage_error():
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # without it, a crash may lose the new file's directory entry
        finally:
            os.close(folder)
        return descriptor
