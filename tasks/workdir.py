"""An attempt's work folder, and the one place that recognises failures caused by a full disk.

A full disk shows in many ways: an error of its own, a truncated file, a program that dies, a stored file that cannot be
read. All of them are retried instead of failing the job.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import (
    AssetUnreadable,
    JobFailed,
    RenderFailed,
    ServiceError,
    SpeechFailed,
    StorageFull,
    Unavailable,
)
from shared.processes.ffmpeg import Stopped
from shared.settings import settings
from shared.storage.base import disk_full_as_storage_error, is_disk_full
from shared.storage.factory import storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# More than any single write: after a write that did not fit, less than this is free.
MIN_FREE_BYTES = 16 << 20


def attempt_workdir() -> AbstractContextManager[Path]:
    """Create a folder for an attempt's files; it is removed when the block ends."""
    return workdir(settings().work_dir, storage().root)


@contextmanager
def workdir(root: Path, *others: Path) -> Iterator[Path]:
    """Create a folder in `root`; raise StorageFull where the block fails because `root` or one of `others` is full."""
    with disk_full_as_storage_error():
        root.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=root))
    try:
        yield path
    except Exception as error:
        retryable = disk_failure(error, path, (root, *others))
        if retryable is not None:
            raise retryable from error
        raise
    finally:
        shutil.rmtree(path, ignore_errors=True)


def quota_error(work: Path | None, most: int) -> JobFailed | None:
    """Return the error of an attempt whose folder holds more than `most` bytes on disk, else None."""
    if work is None or _bytes_on_disk(work) <= most:
        return None
    return RenderFailed(
        f"The work's files take more than {most / 1e9:g} GB. Make the video shorter or smaller, "
        "or raise SCENEMILL_WORK_MAX_BYTES."
    )


def _bytes_on_disk(folder: Path) -> int:
    """Return the bytes that a folder's files occupy on disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed by the work meanwhile
                total += os.lstat(f"{path}/{name}").st_blocks * 512
    return total


def disk_failure(error: Exception, work: Path, places: Iterable[Path]) -> Unavailable | None:
    """Return the retryable error behind `error` where a full or vanished disk caused it. Call it before the files are removed."""
    if isinstance(error, Unavailable | Stopped):
        return None
    if any(is_disk_full(one) for one in _causes(error)):
        return StorageFull("The worker's disk is full.")
    if not _can_come_from_files(error):
        return None
    if not work.is_dir():
        return Unavailable("The folder of the work's files went away.")
    if any(_is_full(place) for place in places):
        return StorageFull("The worker's disk is full.")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its cause, the cause's cause, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _can_come_from_files(error: Exception) -> bool:
    """Return whether a truncated or missing file can cause this error."""
    if isinstance(error, RenderFailed | SpeechFailed | AssetUnreadable):
        return True
    return type(error) is JobFailed or not isinstance(error, ServiceError)


def _is_full(place: Path) -> bool:
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    no_names = found.f_files > 0 and found.f_favail == 0  # some file systems report 0 inodes
    return no_names or found.f_bavail * found.f_frsize < MIN_FREE_BYTES
