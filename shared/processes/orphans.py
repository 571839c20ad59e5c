"""Ends what a program leaves behind that has left its group: a session of its own, or a parent that is gone.

Only where a process has adopted: then the kernel makes it the parent of all such, instead of init, and every child of it that
`ffmpeg.run` has not started is one. So whoever adopts must start no program in another way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
T = TypeVar("T", bound="subprocess.Popen[bytes]")

_lock = threading.Lock()
_started: set[int] = set()
_subreaper_pid: int | None = None


def become_subreaper() -> None:
    """Be the parent of what is left behind from now on. It holds for this process alone, and not for those it forks."""
    global _subreaper_pid  # noqa: PLW0603 (one per process)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        _subreaper_pid = os.getpid()
        _started.clear()


def start_program(begin: Callable[[], T]) -> T:
    """Start a program, and know it for one of ours."""
    with _lock:  # who looks for orphans meanwhile would take it for one
        process = begin()
        _started.add(process.pid)
    return process


def kill_programs() -> None:
    """Kill the programs that run, each with its group: this process is about to end, and nobody else would."""
    for leader in list(_started):  # without the lock: whoever holds it may be what does not come back
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def kill_leftovers(leader: int) -> None:
    """Kill and reap what a program left, whose leader has been reaped; with their children, which come to us in turn."""
    with _lock:
        _started.discard(leader)
        if _subreaper_pid != os.getpid():
            return
        while left := _children() - _started:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _children() -> set[int]:
    found: set[int] = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread has ended
            found.update(map(int, listed.read_text().split()))
    return found
