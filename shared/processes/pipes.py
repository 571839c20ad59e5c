"""Serves a child's pipes without blocking on any of them: feeds stdin, reads progress, drains stderr.

Its memory does not grow with what the child writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

PIPE_BYTES = 1 << 20  # the most that an ordinary user may ask for
READ_BYTES = 1 << 16
MAX_STDOUT_BYTES = 4 << 20
MAX_STDERR_BYTES = 32 << 10  # of the head, and again of the tail
DRAIN_ROUNDS = 64  # to empty the pipes at the end: 64 x 64 KiB each


@dataclass(frozen=True, slots=True)
class Progress:
    """How far ffmpeg is: frames written, seconds of output and, where argv asks for them, frames that an encoder received."""

    frame: int
    seconds: float
    taken: int = 0


class BoundedOutput:
    """The head and the tail of a stream of any length, in bounded memory."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Append bytes; those in the middle are dropped."""
        room = self._max_bytes - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._max_bytes:
            del self._tail[: -self._max_bytes]

    def bytes(self) -> bytes:
        """Return the head and the tail."""
        return bytes(self._head) + bytes(self._tail[-self._max_bytes :])


class ProgressReader:
    """Parses the key=value blocks that ffmpeg writes to `-progress`, and the `taken=frame` lines between them."""

    def __init__(self, tell: Callable[[Progress], None] | None) -> None:
        self._tell = tell
        self._rest = b""
        self._values: dict[bytes, bytes] = {}
        self._taken = 0
        self._last: tuple[Progress, bytes] | None = None

    def add(self, data: bytes) -> bool:
        """Parse bytes and return whether they show progress."""
        *lines, rest = (self._rest + data).split(b"\n")
        # A line without end must not grow memory.
        self._rest = rest[-1000:]
        moved = False
        for line in lines:
            key, _, value = line.partition(b"=")
            if key == b"progress":
                moved |= self._block()
            elif key == b"taken":
                self._taken = _whole(value) + 1  # they are counted from 0
            # ffmpeg writes a dozen keys; a hostile program could write any number.
            elif len(self._values) < 100:
                self._values[key] = value.strip()
        return moved

    def _block(self) -> bool:
        frame, micros = _whole(self._values.get(b"frame")), _whole(self._values.get(b"out_time_us"))
        progress = Progress(frame, micros / 1e6, self._taken)
        seen = (progress, self._values.get(b"total_size", b""))
        self._values = {}
        # ffmpeg reports every 250 ms even when it stands still; only a change is progress.
        if seen == self._last:
            return False
        self._last = seen
        if self._tell is not None:
            self._tell(progress)
        return True


class Pipes:
    """The three pipes of a running child, and the time of its last sign of life."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        chunks: Iterator[bytes | memoryview] | None,
        tell: Callable[[Progress], None] | None,
        *,
        read_reports: bool,
    ) -> None:
        self.alive = time.monotonic()
        self._process = process
        self._chunks = chunks
        self._chunk = memoryview(b"")
        self._stdout = None if read_reports else BoundedOutput(MAX_STDOUT_BYTES)
        self._stderr = BoundedOutput(MAX_STDERR_BYTES)
        self._reports = ProgressReader(tell)
        self._selector = selectors.DefaultSelector()
        # Wakes the selector when the child ends, although a grandchild may keep the pipes open.
        self._pidfd = os.pidfd_open(process.pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        for stream in (process.stdout, process.stderr):
            self._open(stream.fileno(), selectors.EVENT_READ)  # type: ignore[union-attr]
        if chunks is not None:
            self._stdin = process.stdin.fileno()  # type: ignore[union-attr]
            with contextlib.suppress(OSError):  # above the user's pipe allowance the pipe keeps its size
                fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._open(self._stdin, selectors.EVENT_WRITE)

    def wait(self, seconds: float) -> bool:
        """Serve what is ready within this time, and return whether the child has ended."""
        ended = False
        for key, _ in self._selector.select(seconds):
            if key.fd == self._pidfd:
                ended = True
            elif self._process.stdin is not None and key.fd == self._process.stdin.fileno():
                self._feed()
            else:
                self._read(key.fd)
        return ended

    def drain(self) -> None:
        """Read what an ended child left in its pipes, and stop there: a grandchild may hold them open."""
        for stream in (self._process.stdout, self._process.stderr):
            # Bounded, since a grandchild may write for ever.
            for _ in range(DRAIN_ROUNDS):
                if not self._read(stream.fileno()):  # type: ignore[union-attr]
                    break

    def close(self) -> None:
        """Close all pipes."""
        self._selector.close()
        os.close(self._pidfd)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if isinstance(self._chunks, Generator):
            self._chunks.close()

    def stdout(self) -> bytes:
        """Return the head and tail of stdout."""
        return self._stdout.bytes() if self._stdout else b""

    def stderr(self) -> str:
        """Return the head and tail of stderr."""
        return self._stderr.bytes().decode(errors="replace")

    def _open(self, descriptor: int, event: int) -> None:
        # A blocking write would hang on a child that stopped reading, past every time limit.
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, event)

    def _read(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            return False
        if descriptor == self._process.stderr.fileno():  # type: ignore[union-attr]
            self._stderr.add(data)  # no sign of life: a program may print warnings for ever
        elif self._stdout is not None:
            self._stdout.add(data)
            self.alive = time.monotonic()
        elif self._reports.add(data):
            self.alive = time.monotonic()
        return True

    def _feed(self) -> None:
        """Write one piece to stdin; the next chunk is requested only when the last one is written."""
        if not self._chunk:
            chunk = next(self._chunks, None)  # type: ignore[arg-type]
            if chunk is None:
                self._shut()
                return
            # os.write accepts part of it; slicing a memoryview copies nothing.
            self._chunk = memoryview(chunk).cast("B")
        try:
            taken = os.write(self._process.stdin.fileno(), self._chunk)  # type: ignore[union-attr]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it reads no more; its exit code tells whether that is an error
            self._shut()
            return
        self._chunk = self._chunk[taken:]
        self.alive = time.monotonic()

    def _shut(self) -> None:
        self._selector.unregister(self._process.stdin.fileno())  # type: ignore[union-attr]
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdin = None


def _whole(value: bytes | None) -> int:
    try:
        return int(value or b"0")
    except ValueError:  # "N/A" before the first frame
        return 0
