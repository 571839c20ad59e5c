"""A storage in a folder that the API and all workers can see."""

from __future__ import annotations

import filecmp
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from shared.errors import AssetUnreadable, Conflict
from shared.storage import unfinished_uploads
from shared.storage.base import CHUNK_BYTES, Storage, disk_full_as_storage_error, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PUBLISH_TRIES = 3


class FolderStorage(Storage):
    """Files in a folder that the API and all workers can see."""

    blocking = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return the path of a key, whether or not there is a file."""
        return self.root / key

    def locate(self, key: str) -> Path:
        """Return the file's own path: nothing is copied."""
        path = self.path(key)
        if not path.is_file():
            raise AssetUnreadable("A stored file is missing.")
        return path

    @contextmanager
    def create(self, key: str) -> Iterator[IO[bytes]]:
        """Write a temporary file in the same file system, fsync it, and rename it."""
        part = self._incoming / uuid.uuid4().hex
        try:
            # In the same file system as the target, so that publishing is a rename and readers never see half a file.
            with disk_full_as_storage_error(), part.open("xb") as file:
                yield file
                file.flush()
                # Before the rename: after a power cut the name could otherwise point to an empty file.
                os.fsync(file.fileno())
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def put(self, source: Path, key: str) -> None:
        """Move a file in: by a rename within the file system, by a copy from another one."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with disk_full_as_storage_error():
                shutil.move(source, part)
                with part.open("rb") as file:
                    os.fsync(file.fileno())
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def link(self, source: Path, key: str) -> None:
        """Hard-link the file, or copy it where links are not possible."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with disk_full_as_storage_error():
                try:
                    os.link(source, part)
                except OSError as error:
                    if is_disk_full(error) or not source.is_file():
                        raise
                    shutil.copyfile(source, part)  # the file system has no hard links
                os.utime(part)  # the link would keep the old mtime, and orphan cleanup would delete it
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)

    def copy(self, existing: str, key: str) -> None:
        """Hard-link the file, or copy it where links are not possible."""
        self.link(self.locate(existing), key)

    def _publish(self, part: Path, key: str) -> None:
        target = self.path(key)
        for tries_left in reversed(range(PUBLISH_TRIES)):
            try:
                self._name(part, target)
            except FileNotFoundError:  # `delete` has just removed the folder because it was empty
                if not tries_left:
                    raise
            else:
                return

    def _name(self, part: Path, target: Path) -> None:
        with disk_full_as_storage_error():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(part, target)
            except FileExistsError:
                if not filecmp.cmp(part, target, shallow=False):
                    raise Conflict("A different file is stored under this key.") from None
                part.rename(
                    target
                )  # refreshes the mtime, so that orphan cleanup skips a file about to be referenced
            except OSError as error:
                if is_disk_full(error):
                    raise
                part.rename(target)  # the file system has no hard links

    def size(self, key: str) -> int | None:
        """Stat the file."""
        path = self.path(key)
        return path.stat().st_size if path.is_file() else None

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Read the file in chunks."""
        with self.locate(key).open("rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK_BYTES, stop - start))):
                start += len(chunk)
                yield chunk

    def find_existing(self, keys: Iterable[str]) -> set[str]:
        """Stat the files."""
        return {key for key in keys if self.path(key).is_file()}

    def delete(self, key: str) -> None:
        """Delete the file, and the folders that this leaves empty: each job has some of its own."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # the first folder that is not empty ends it
            for above in path.parents:
                if above.parent == self.root:
                    break
                above.rmdir()

    def list_older_than(self, before: float) -> Iterator[str]:
        """Walk the folder. Unfinished files are included: no row names them."""
        for path in self.root.rglob("*"):
            key = str(path.relative_to(self.root))
            if _is_older(path, before) and not key.startswith(
                f"{unfinished_uploads.FOLDER_NAME}/"
            ):  # those expire by their own rule
                yield key

    def remove_unfinished(self, before: float) -> int:  # noqa: ARG002 (`aged` gives it already)
        """Do nothing: `list_older_than` includes unfinished files."""
        return 0

    def check_writable(self) -> None:
        """Write a file into the folder and delete it."""
        probe = self._incoming / f"probe-{uuid.uuid4().hex}"
        probe.write_bytes(b"ok")
        probe.unlink()


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime < before
    except FileNotFoundError:  # deleted meanwhile
        return False
