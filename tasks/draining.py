"""Whether this worker is shutting down. The parent writes the moment to memory that it shares with its pool processes."""

from __future__ import annotations

import mmap
import struct
import time

_FORM = struct.Struct("d")
_memory: mmap.mmap | None = None


def allocate() -> None:
    """Allocate the shared memory. Call it before any pool process is forked."""
    global _memory  # noqa: PLW0603 (one per process, as the worker itself)
    _memory = mmap.mmap(-1, _FORM.size)


def start() -> None:
    """Record that the worker shuts down from now on. Later calls change nothing."""
    if _memory is not None and not _since():
        _FORM.pack_into(_memory, 0, time.monotonic())


def is_active() -> bool:
    """Return whether the worker is shutting down."""
    return bool(_since())


def has_lasted(seconds: float) -> bool:
    """Return whether the worker has been shutting down for at least so many seconds."""
    since = _since()
    return bool(since) and time.monotonic() - since >= seconds


def _since() -> float:
    # The monotonic clock is the same in all processes of a machine; the wall clock may be set meanwhile.
    return float(_FORM.unpack_from(_memory, 0)[0]) if _memory is not None else 0.0
