"""What can be uploaded: a file by its path, an open file, bytes, or a stream that can be read only once."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 20
Uploadable: TypeAlias = str | Path | bytes | IO[bytes]


class Source(Protocol):
    """Bytes of a known size that can be read from anywhere."""

    name: str
    size: int

    def key(self) -> str:
        """Return an idempotency key: the same for the same file, so that another run goes on with its upload."""

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """Give `length` bytes from `offset` on."""

    def sha256(self) -> str:
        """Return the digest of all bytes."""


class FileSource:
    """A file, by its path."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self.size = path.stat().st_size

    def key(self) -> str:
        """Return a name of this file as it is now, on this machine."""
        found = self._path.stat()
        facts = (
            socket.gethostname(),
            str(self._path.resolve()),
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
        )
        return "file-" + hashlib.sha256(repr(facts).encode()).hexdigest()

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """Give `length` bytes from `offset` on."""
        with self._path.open("rb") as file:
            file.seek(offset)
            yield from _read(file, length)

    def sha256(self) -> str:
        """Return the digest of all bytes."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class OpenSource:
    """An open file that can seek, from where it stands."""

    def __init__(self, file: IO[bytes]) -> None:
        self.name = str(getattr(file, "name", "the stream"))
        self._file = file
        self._start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._start

    def key(self) -> str:
        """Return a new key: an open file has no name that another run could find."""
        return str(uuid.uuid4())

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """Give `length` bytes from `offset` on."""
        self._file.seek(self._start + offset)
        yield from _read(self._file, length)

    def sha256(self) -> str:
        """Return the digest of all bytes."""
        digest = hashlib.sha256()
        for block in self.blocks(0, self.size):
            digest.update(block)
        return digest.hexdigest()


class Stream:
    """A stream that can be read only once, such as a pipe. Its length shows at its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self.name = str(getattr(file, "name", "the stream"))
        self._file = file

    def read(self, length: int) -> bytes:
        """Return the next `length` bytes, fewer only at the end."""
        return b"".join(_read(self._file, length))


def opened(source: Uploadable) -> Source | Stream:
    """Return what the bytes come from: where it can seek, its length is known, and any part can be read again."""
    if isinstance(source, str | Path):
        return FileSource(Path(source))
    if isinstance(source, bytes):
        return OpenSource(io.BytesIO(source))
    return OpenSource(source) if source.seekable() else Stream(source)


def _read(file: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (block := file.read(min(BLOCK, length))):
        length -= len(block)
        yield block
