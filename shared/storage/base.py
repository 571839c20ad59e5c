"""The interface of a storage: immutable files under keys. A key appears only once its file is complete."""

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
    """Files under keys: slash-separated names that we make, never a client.

    A file on a disk is stored by a rename. A request to a bucket may fail on its way: it is retried within limits, and
    its effect is checked before it counts as failed. Temporary failures raise StorageFull or another Unavailable.
    """

    root: Path  # the folder of the paths that `locate` returns
    # Whether a call blocks its thread, as a disk does; an event loop then runs it in another thread. A call that waits
    # for the network yields to other greenlets.
    blocking: ClassVar[bool]

    @abstractmethod
    def locate(self, key: str) -> Path:
        """Return a local path of a stored file, or raise AssetUnreadable if there is none."""

    @abstractmethod
    def create(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """Open a new file for writing. It is stored when the block ends, and deleted if the block raises."""

    @abstractmethod
    def put(self, source: Path, key: str) -> None:
        """Move a finished file in. Raise Conflict if the key has another content."""

    @abstractmethod
    def link(self, source: Path, key: str) -> None:
        """Store a located file under a second key; deleting one does not affect the other."""

    @abstractmethod
    def copy(self, existing: str, key: str) -> None:
        """Store a file under a second key, or raise AssetUnreadable if there is none; deleting one does not affect the other."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return the size of a stored file in bytes; None if there is none."""

    @abstractmethod
    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a stored file from `start` up to `stop`, in chunks."""

    @abstractmethod
    def find_existing(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that have a file."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete a file; a missing one is no error."""

    @abstractmethod
    def list_older_than(self, before: float) -> Iterator[str]:
        """Yield the keys of files last written before this Unix time, by the storage's clock."""

    @abstractmethod
    def remove_unfinished(self, before: float) -> int:
        """Delete unfinished files begun before this Unix time, and return how many."""

    @abstractmethod
    def check_writable(self) -> None:
        """Write and delete a small file, or raise; the readiness check calls it."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether the error means that a disk is full, or that the user's quota on it is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_full_as_storage_error() -> Iterator[None]:
    """Raise StorageFull, which is retried, where the block finds a disk full."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise StorageFull("The storage is full. Try again later.") from error
        raise
