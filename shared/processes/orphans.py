"""Kills what a program leaves behind outside its process group: processes with a session of their own, or without a parent.

It needs a process that called `become_subreaper`: the kernel then makes it the parent of such orphans instead of init,
and every child that `ffmpeg.run` did not start counts as one. So a subreaper must start programs in no other way.
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
    """Become the parent of orphaned descendants. It holds for this process alone, not for those that it forks."""
    global _subreaper_pid  # noqa: PLW0603 (one per process)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        _subreaper_pid = os.getpid()
        _started.clear()


def start_program(begin: Callable[[], T]) -> T:
    """Start a program and remember that it is one of ours."""
    with _lock:  # a search for orphans at this moment would take it for one
        process = begin()
        _started.add(process.pid)
    return process


def kill_programs() -> None:
    """Kill the running programs, each with its group, since this process is about to end."""
    for leader in list(_started):  # without the lock: the thread that holds it may be the one that hangs
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def kill_leftovers(leader: int) -> None:
    """Kill and reap the orphans of a program whose leader has been reaped, and their children, which become ours in turn."""
    with _lock:
        _started.discard(leader)
        if _subreaper_pid != os.getpid():
            return
        # Again until none is left: the children of a killed orphan become ours only when it is dead.
        while orphans := _children() - _started:
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _children() -> set[int]:
    children: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread has ended
            children.update(map(int, listing.read_text().split()))
    return children
