"""The folder of an attempt, and the one place that tells a failure for want of room from all others.

A full disk shows in many ways: an error of its own, a file that ends too early, a program that dies, a stored file that
cannot be made out. Whatever it looks like, another attempt may go through.
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

# More than any one piece that is written, so that what did not fit leaves less.
MIN_FREE_BYTES = 16 << 20


def attempt_workdir() -> AbstractContextManager[Path]:
    """Give a folder for an attempt's own files, gone with the attempt."""
    return workdir(settings().work_dir, storage().root)


@contextmanager
def workdir(root: Path, *others: Path) -> Iterator[Path]:
    """Give a folder in `root`; raise StorageFull where the work fails for want of room, in it or in the others."""
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
    """Return what an attempt fails with whose folder holds more than `most` bytes; asked while the files are written."""
    if work is None or _bytes_on_disk(work) <= most:
        return None
    return RenderFailed(
        f"The work's files take more than {most / 1e9:g} GB. Make the video shorter or smaller, "
        "or raise SCENEMILL_WORK_MAX_BYTES."
    )


def _bytes_on_disk(folder: Path) -> int:
    """Return the bytes that a folder's files take on the disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it went away meanwhile
                total += os.lstat(f"{path}/{name}").st_blocks * 512
    return total


def disk_failure(error: Exception, work: Path, places: Iterable[Path]) -> Unavailable | None:
    """Return what the error comes of, where that is a disk that was full or went away; asked while the files are there."""
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
    """Give the error and what it came of."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _can_come_from_files(error: Exception) -> bool:
    """Tell whether a file that was cut off or is missing can look like this."""
    if isinstance(error, RenderFailed | SpeechFailed | AssetUnreadable):
        return True
    return type(error) is JobFailed or not isinstance(error, ServiceError)


def _is_full(place: Path) -> bool:
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    no_names = found.f_files > 0 and found.f_favail == 0  # some file systems do not count their files
    return no_names or found.f_bavail * found.f_frsize < MIN_FREE_BYTES
