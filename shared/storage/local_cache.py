"""A cache on this machine of files in a bucket: each is downloaded once, and the least recently used are deleted first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shared.errors import Unavailable
from shared.storage.base import disk_full_as_storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FETCH_TIMEOUT_SECONDS = 1800.0  # the longest wait for another process that downloads the same file
POLL_SECONDS = 0.05
TRIM_FRACTION = 20  # the cache is measured again after a twentieth of its size has been added


class LocalCache:
    """A cache folder that all processes of a machine share. A file's name is the hash of its key."""

    def __init__(self, root: Path, *, max_bytes: int, protected_seconds: float) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._protected_seconds = protected_seconds
        self._incoming = root / "incoming"
        # In /tmp another user could prepare this folder, and swap files that workers then render.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_uid not in (os.geteuid(), 0):
            raise PermissionError(
                f"{root} belongs to another user, who could replace its files. Set SCENEMILL_STORAGE_CACHE_DIR to another folder."
            )
        self._incoming.mkdir(exist_ok=True)
        self._added = max_bytes  # the present size is unknown, so the first addition measures it

    def find(self, key: str) -> Path | None:
        """Return the cached file and refresh its mtime; None if there is none."""
        path = self._path(key)
        with suppress(FileNotFoundError):
            os.utime(path)
            return path
        return None

    @contextmanager
    def new_part(self) -> Iterator[Path]:
        """Yield a path for a new file, which is deleted at the end unless it was moved."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def add(self, source: Path, key: str) -> None:
        """Move a file in that is stored already. Where the disk is full it is only deleted."""
        with suppress(OSError), self.new_part() as part:
            shutil.move(source, part)
            self._enter(part, key)
        source.unlink(missing_ok=True)

    def fetch(self, key: str, write: Callable[[IO[bytes]], None]) -> Path:
        """Return the cached file. If there is none, one process downloads it and the others wait for it."""
        # Polling, since a blocking flock could not time out when the process that downloads hangs.
        deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS
        part = self._incoming / f"{self._path(key).name}.part"
        while True:
            if path := self.find(key):
                return path
            # Append mode: "w" would truncate the file that another process is downloading into.
            with disk_full_as_storage_error(), part.open("ab") as file:
                if _is_ours(file, part):
                    return self._written(key, file, part, write)
            if time.monotonic() > deadline:
                raise Unavailable("The storage takes too long. Try again shortly.")
            time.sleep(POLL_SECONDS)

    def _written(self, key: str, file: IO[bytes], part: Path, write: Callable[[IO[bytes]], None]) -> Path:
        if found := self.find(key):  # another process finished it while we waited for the lock
            part.unlink(missing_ok=True)
            return found
        try:
            file.truncate(0)  # drop what a process left that died while downloading
            write(file)
            file.flush()
            return self._enter(part, key)
        finally:
            part.unlink(missing_ok=True)

    def _enter(self, part: Path, key: str) -> Path:
        path = self._path(key)
        self._added += part.stat().st_size
        path.parent.mkdir(exist_ok=True)
        part.rename(path)
        if self._added * TRIM_FRACTION >= self._max_bytes:
            self._added = 0
            self.trim()
        return path

    def discard(self, key: str) -> None:
        """Delete the cached file, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def trim(self) -> None:
        """Delete the least recently used files above the size limit, but none that a job may be about to open."""
        # Newest first, so that what exceeds the limit are the least recently used.
        now, total = time.time(), 0
        for used, size, path in sorted(self._all(), reverse=True):
            total += size
            if now - used > self._protected_seconds and (
                total > self._max_bytes or path.parent == self._incoming
            ):
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file():
                    facts = path.stat()
                    yield facts.st_mtime, facts.st_size, path

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.root / name[:2] / f"{name}{Path(key).suffix}"


def _is_ours(file: IO[bytes], path: Path) -> bool:
    """Return whether we hold the file's lock and the path still names it. The kernel releases the lock if its holder dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
