"""Copies on this machine of files that are stored far away: each fetched once, the least recently used gone first."""

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

FETCH_TIMEOUT_SECONDS = 1800.0  # seconds that one waits for another on this machine who fetches the same
POLL_SECONDS = 0.05
TRIM_FRACTION = 20  # copies are counted again when a twentieth of their room has come in


class LocalCache:
    """A folder of copies that all processes of a machine share. A copy's name is the hash of its key."""

    def __init__(self, root: Path, *, most: int, spare: float) -> None:
        self.root = root
        self._most = most
        self._spare = spare
        self._incoming = root / "incoming"
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_uid not in (os.geteuid(), 0):
            raise PermissionError(f"{root} is another user's, who could put other files there.")
        self._incoming.mkdir(exist_ok=True)
        self._added = most  # nobody knows what is there yet

    def find(self, key: str) -> Path | None:
        """Return the copy, and note that it was used; None when there is none."""
        path = self._path(key)
        with suppress(FileNotFoundError):
            os.utime(path)
            return path
        return None

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Give a path for a new file, gone at the end unless it was kept."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, source: Path, key: str) -> None:
        """Move a file in that is stored by now. Where there is no room it is only gone."""
        with suppress(OSError), self.part() as part:
            shutil.move(source, part)
            self._enter(part, key)
        source.unlink(missing_ok=True)

    def fetch(self, key: str, write: Callable[[IO[bytes]], None]) -> Path:
        """Return the copy; where there is none, one process has it written and the others wait for it."""
        deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS
        part = self._incoming / f"{self._path(key).name}.part"
        while True:
            if found := self.find(key):
                return found
            with disk_full_as_storage_error(), part.open("ab") as file:
                if _is_ours(file, part):
                    return self._written(key, file, part, write)
            if time.monotonic() > deadline:
                raise Unavailable("The storage takes too long.")
            time.sleep(POLL_SECONDS)

    def _written(self, key: str, file: IO[bytes], part: Path, write: Callable[[IO[bytes]], None]) -> Path:
        if found := self.find(key):  # it came while we waited for our turn
            part.unlink(missing_ok=True)
            return found
        try:
            file.truncate(0)  # what one has left who died over it
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
        if self._added * TRIM_FRACTION >= self._most:
            self._added = 0
            self.trim()
        return path

    def forget(self, key: str) -> None:
        """Remove the copy, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def trim(self) -> None:
        """Remove the least recently used beyond the room there is, but nothing that a job may just be about to open."""
        now, total = time.time(), 0
        for used, size, path in sorted(self._all(), reverse=True):
            total += size
            if now - used > self._spare and (total > self._most or path.parent == self._incoming):
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
    """Tell whether we hold the file, and it is still the one of that name. The kernel lets go of it when its holder dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
