"""Bodies of requests. Each can be sent again after a failure, also one whose source can be read only once."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import IO, Protocol, Self
from urllib.parse import urlencode

import anyio.to_thread

BLOCK = 64 * 1024
IN_MEMORY = 8 << 20  # bytes of a one-time source that are kept in memory; more go to a temporary file


class Body(Protocol):
    """Bytes to send. They are opened anew for each attempt."""

    def blocks(self) -> Iterator[bytes] | bytes:
        """Return the bytes for the blocking client."""

    def async_blocks(self) -> AsyncIterator[bytes] | bytes:
        """Return the bytes for the asynchronous client."""


class Bytes:
    """A body that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def blocks(self) -> bytes:
        """Return the bytes."""
        return self._content

    def async_blocks(self) -> bytes:
        """Return the bytes."""
        return self._content


class Blocks:
    """A body that can be read again from its start: `reopen` returns its blocks."""

    def __init__(self, reopen: Callable[[], Iterator[bytes]]) -> None:
        self._reopen = reopen

    def blocks(self) -> Iterator[bytes]:
        """Return the blocks from the start."""
        return self._reopen()

    async def async_blocks(self) -> AsyncIterator[bytes]:
        """Return the blocks from the start, each read in a thread."""
        blocks = self._reopen()
        while block := await anyio.to_thread.run_sync(next, blocks, b""):
            yield block


class Recorded:
    """A body whose source can be read once. What was read is recorded, so that it can be sent again.

    A context manager, which ends the record. An asynchronous source works with the asynchronous client alone.
    """

    def __init__(self, source: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        self._source = source
        self._iterator = source.__aiter__() if isinstance(source, AsyncIterable) else iter(source)
        self._record: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (lives as long as the body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._record.close()

    def blocks(self) -> Iterator[bytes]:
        """Return the blocks: first what an earlier attempt has read, then the rest."""
        if isinstance(self._iterator, AsyncIterator):
            raise TypeError("An asynchronous source needs AsyncScenemill.")
        yield from self._recorded()
        for block in self._iterator:
            yield self._kept(block)

    async def async_blocks(self) -> AsyncIterator[bytes]:
        """Return the blocks: first what an earlier attempt has read, then the rest."""
        for block in self._recorded():
            yield block
        if isinstance(self._iterator, AsyncIterator):
            async for block in self._iterator:
                yield self._kept(block)
            return
        while block := await anyio.to_thread.run_sync(next, self._iterator, b""):
            yield self._kept(block)

    def _recorded(self) -> Iterator[bytes]:
        self._record.seek(0)
        while block := self._record.read(BLOCK):
            yield block

    def _kept(self, block: bytes) -> bytes:
        self._record.write(block)
        return block


def form(fields: Mapping[str, str]) -> Bytes:
    """Return an HTML form's body."""
    return Bytes(urlencode(fields).encode())
