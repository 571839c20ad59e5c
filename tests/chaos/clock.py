"""A clock that is wrong by so many seconds, for one process: a small library that is loaded before all others.

Only the time of day is shifted. The monotonic clock, by which processes sleep and wait, is right on every machine.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += SHIFT;
    return result;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *out, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def wrong_by(seconds: int, folder: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is so wrong."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("There is no C compiler, and the library that shifts a worker's clock is C.")
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-DSHIFT={seconds}", "-o", library, source], check=True, timeout=60
    )
    return {"LD_PRELOAD": str(library)}
