"""What a stack has stored, seen from outside: in its folder, or in a bucket."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from tests.loopback.s3 import S3


class Files(Protocol):
    """Where a stack keeps its files."""

    def settings(self) -> Mapping[str, str]:
        """Return the settings that name it."""

    def content(self, key: str) -> bytes | None:
        """Return what a stored file holds."""

    def left(self) -> set[str]:
        """Return the names of all that is there, half done or not."""

    def age(self, by: timedelta) -> None:
        """Make all of it look older."""


class Disk:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settings(self) -> Mapping[str, str]:
        return {"SCENEMILL_STORAGE_URL": str(self.folder)}

    def content(self, key: str) -> bytes | None:
        path = self.folder / key
        return path.read_bytes() if path.is_file() else None

    def left(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def age(self, by: timedelta) -> None:
        for path in self.folder.rglob("*"):
            make_old(path, by)


class Objects:
    """A bucket, and the copies of it on this machine. A whole copy is no file that somebody would miss."""

    PREFIX = "chaos"

    def __init__(self, server: S3, copies: Path) -> None:
        self._server = server
        self._copies = Disk(copies / "incoming")

    def settings(self) -> Mapping[str, str]:
        return self._server.settings(self.PREFIX)

    def content(self, key: str) -> bytes | None:
        found = self._server.objects.get(f"{self.PREFIX}/{key}")
        return found.content if found else None

    def left(self) -> set[str]:
        whole = {name.removeprefix(f"{self.PREFIX}/") for name in self._server.objects}
        begun = {f"parts of {one.key}" for one in self._server.uploads.values()}
        return whole | begun | {f"incoming/{name}" for name in self._copies.left()}

    def age(self, by: timedelta) -> None:
        self._server.turn_back(by)
        self._copies.age(by)


def make_old(path: Path, by: timedelta) -> None:
    os.utime(path, (time.time() - by.total_seconds(),) * 2)
