"""The resource limits of a child process, applied between fork and exec."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 1 << 30
PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use, in seconds and bytes.

    `stall` is the longest time without a sign of life: a new progress report, or a byte read from its stdin.
    """

    wall: float = 3600.0
    stall: float = 60.0
    cpu: int = 4 * 3600
    memory: int = 8 * GIB
    file: int = 64 * GIB
    open_files: int = 256
    nice: int = 5
    network: bool = False


def confine(limits: Limits) -> Callable[[], None]:
    """Return the function that the child calls just before exec. Everything it needs is looked up here, before the fork."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()
    bounds = (
        # Address space, not resident memory: the kernel enforces no other limit per process.
        (resource.RLIMIT_AS, limits.memory, limits.memory),
        # The soft limit sends SIGXCPU, by which this end is recognised; the hard limit kills a program that ignores it.
        (resource.RLIMIT_CPU, limits.cpu, limits.cpu + 5),
        (resource.RLIMIT_FSIZE, limits.file, limits.file),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        # A core dump of ffmpeg would fill the disk with a client's media.
        (resource.RLIMIT_CORE, 0, 0),
    )
    # Root needs no user namespace for a network namespace, and in one would lose its access to others' files.
    apart = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER

    def bind() -> None:
        # Sent when the thread that started the child ends; that thread waits in `run`.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the worker died before the line above
        if not limits.network:
            libc.unshare(
                apart
            )  # where the kernel refuses, the program keeps its network: this is a second line of defence
        for name, soft, hard in bounds:
            most = resource.getrlimit(name)[1]
            free = most == resource.RLIM_INFINITY
            resource.setrlimit(name, (soft, hard) if free else (min(soft, most), min(hard, most)))
        os.nice(limits.nice)

    return bind
