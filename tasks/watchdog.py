"""Ends a pool process whose work neither returns nor listens: it spins, or waits for something without a limit.

Celery's pool starts another process in its place; what the work held in Postgres is settled before.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from typing import NoReturn

from shared.processes import orphans

ABANDONED = 71  # the exit code of a process whose work is settled: its parent counts no crash
_guarded: int | None = None


def allow_ending_process() -> None:
    """Mark this process as one of a pool, which may be ended."""
    global _guarded  # noqa: PLW0603 (one per process)
    _guarded = os.getpid()


def may_end_process() -> bool:
    """Return whether this process may be ended: tests and the worker's parent may not."""
    return _guarded == os.getpid()


def end_process() -> NoReturn:
    """Kill the programs that this process runs, and exit at once."""
    orphans.kill_programs()
    os._exit(ABANDONED)


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process after so many seconds of CPU time; 0 lifts the limit.

    The heartbeat renews the limit, and cannot while a library spins without releasing the GIL. A wall clock would not do:
    a process that was stopped for a while has done nothing wrong.
    """
    if may_end_process():
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main_stack() -> str:
    """Return where the main thread is, for the log."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 (there is no other way)
    return "".join(traceback.format_stack(frame)[-8:]) if frame else ""
