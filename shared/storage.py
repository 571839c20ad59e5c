"""Where files live under names of our own. A name appears when its file is whole, and its content never changes."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shared.errors import AssetUnreadable, StorageFull
from shared.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def _room() -> Iterator[None]:
    """Turn a full disk into the error that is retried."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("There is no room left to store files.") from error
        raise


class Storage:
    """Files in a folder. Keys are slash-separated names made by us, never by a client."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return the path of a key, whether or not there is a file."""
        return self.root / key

    def locate(self, key: str) -> Path:
        """Return the path of a stored file, or raise AssetUnreadable when it is gone."""
        path = self.path(key)
        if not path.is_file():
            raise AssetUnreadable("A stored file is missing.")
        return path

    @contextmanager
    def create(self, key: str) -> Iterator[IO[bytes]]:
        """Open a new file to write; it gets its name when the block ends well, and is gone when it does not."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with _room(), part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def put(self, source: Path, key: str) -> None:
        """Move a finished file in, from the same file system by a rename, from another one by a copy."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with _room():
                shutil.move(source, part)
                with part.open("rb") as file:
                    os.fsync(file.fileno())
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def link(self, source: Path, key: str) -> None:
        """Give a file that is stored already a second name; the two live and go apart."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with _room():
                try:
                    os.link(source, part)
                except OSError as error:
                    if error.errno in _FULL or not source.is_file():
                        raise
                    shutil.copyfile(source, part)  # a file system that knows no links
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def _publish(self, part: Path, key: str) -> None:
        target = self.path(key)
        with _room():
            target.parent.mkdir(parents=True, exist_ok=True)
            part.rename(target)

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone already is fine."""
        self.path(key).unlink(missing_ok=True)

    def check(self) -> None:
        """Write and remove a small file, or raise OSError: what readiness asks for."""
        probe = self._incoming / f"probe-{uuid.uuid4().hex}"
        probe.write_bytes(b"ok")
        probe.unlink()


@lru_cache(maxsize=1)
def storage() -> Storage:
    """Return this process's storage."""
    return Storage(Path(settings().storage_url.removeprefix("file://")))
