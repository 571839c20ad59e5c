"""Whether this worker is about to end: its parent notes it in memory that its pool processes share with it."""

from __future__ import annotations

import mmap
import struct
import time

_FORM = struct.Struct("d")
_memory: mmap.mmap | None = None


def allocate() -> None:
    """Make the memory. Whoever forks pool processes calls it before."""
    global _memory  # noqa: PLW0603 (one per process, as the worker itself)
    _memory = mmap.mmap(-1, _FORM.size)


def start() -> None:
    """Note that no new work is wanted from now on, once."""
    if _memory is not None and not _since():
        _FORM.pack_into(_memory, 0, time.monotonic())


def is_active() -> bool:
    """Tell whether the worker is ending."""
    return bool(_since())


def has_lasted(seconds: float) -> bool:
    """Tell whether the worker has been ending for so long that what still runs is to be handed back."""
    since = _since()
    return bool(since) and time.monotonic() - since >= seconds


def _since() -> float:
    # The monotonic clock is the machine's, the same in every process of it.
    return float(_FORM.unpack_from(_memory, 0)[0]) if _memory is not None else 0.0
