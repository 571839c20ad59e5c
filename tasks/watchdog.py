"""Ends a pool process whose work neither ends nor listens: it spins, or it waits for something that has no limit.

Celery's pool starts another process in its place. What the work held in Postgres is settled before.
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
    """Declare this process one of a pool, which may be ended."""
    global _guarded  # noqa: PLW0603 (one per process)
    _guarded = os.getpid()


def may_end_process() -> bool:
    """Return whether this process may be ended."""
    return _guarded == os.getpid()


def end_process() -> NoReturn:
    """End this process at once, with the programs that it runs."""
    orphans.kill_programs()
    os._exit(ABANDONED)


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process once it has used so much CPU time; 0 lifts the limit.

    A heartbeat that renews it cannot run while a library spins without letting go of the interpreter's lock. Time of day
    would not do: a process that was stopped for a while has done nothing wrong.
    """
    if may_end_process():
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main_stack() -> str:
    """Return where the main thread is, for the log."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 (there is no other way)
    return "".join(traceback.format_stack(frame)[-8:]) if frame else ""
