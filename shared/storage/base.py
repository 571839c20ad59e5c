"""Where files live under names of our own. A name appears when its file is whole, and its content never changes."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, ClassVar

from shared.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK_BYTES = 64 * 1024


class Storage(ABC):
    """Files under keys: slash-separated names made by us, never by a client.

    What is on a disk is stored as soon as it is renamed; what is far away may fail in between, is tried again within
    bounds, and is looked for before it is given up. Raise StorageFull or another Unavailable for what may pass.
    """

    root: Path  # where located files are
    # Whether a call blocks its thread, as a disk does: an event loop hands it to a thread of its own then. A call that waits
    # for the network yields to other greenlets.
    blocking: ClassVar[bool]

    @abstractmethod
    def locate(self, key: str) -> Path:
        """Return a path on this machine of a stored file, or raise AssetUnreadable when it is gone."""

    @abstractmethod
    def create(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """Open a new file to write; it gets its name when the block ends well, and is gone when it does not."""

    @abstractmethod
    def put(self, source: Path, key: str) -> None:
        """Move a finished file in. Another content under a name that is taken is a Conflict."""

    @abstractmethod
    def link(self, source: Path, key: str) -> None:
        """Store a located file under a second name; the two live and go apart."""

    @abstractmethod
    def copy(self, existing: str, key: str) -> None:
        """Give a stored file a second name, or raise AssetUnreadable when it is gone; the two live and go apart."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return the bytes of a stored file; None when there is none."""

    @abstractmethod
    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Give the bytes of a stored file from `start` up to `stop`, a little at a time."""

    @abstractmethod
    def find_existing(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a file."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a file; one that is gone already is fine."""

    @abstractmethod
    def list_older_than(self, before: float) -> Iterator[str]:
        """Give the keys of files that are older than that moment of the storage's clock."""

    @abstractmethod
    def remove_unfinished(self, before: float) -> int:
        """Remove what was begun before that moment and has no name yet; return how much."""

    @abstractmethod
    def check_writable(self) -> None:
        """Write and remove a small file, or raise: what readiness asks for."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether the error says that a disk is full, or that the user's quota on it is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_full_as_storage_error() -> Iterator[None]:
    """Raise StorageFull, which is retried, where the block finds a disk full."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise StorageFull("There is no room left to store files.") from error
        raise
