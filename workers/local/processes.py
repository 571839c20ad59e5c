"""Starts programs of the local stack so that they die with it, and stops them with all their descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PARENT_DEATH = Path(__file__).with_name("parent_death.py")


@dataclass(frozen=True)
class Owner:
    """The user that a program runs as; -1 is the current one."""

    uid: int = -1
    gid: int = -1


CURRENT_USER = Owner()


def child_environment(**more: str) -> dict[str, str]:
    """Return this process's environment with `more` over it. It is passed on unread: only the settings interpret it."""
    return {**os.environ, **more}


def start(  # noqa: PLR0913 (what a program is started with)
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    output: int | IO[bytes],
    errors: int | IO[bytes] = subprocess.STDOUT,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    death_signal: signal.Signals = signal.SIGKILL,
    owner: Owner = CURRENT_USER,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches only the supervisor.

    The program dies with the calling thread: call this from the main thread.
    """
    leash = [sys.executable, "-I", "-S", str(PARENT_DEATH)]
    limits = [str(number) for number in (os.getpid(), int(death_signal), owner.uid, owner.gid)]
    return subprocess.Popen(
        [*leash, *limits, *argv],
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


def process_tree(pid: int) -> list[psutil.Process]:
    """Return the process and its descendants, as far as they exist."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def stop(process: subprocess.Popen[bytes], graceful_signal: signal.Signals, *, grace: float) -> bool:
    """Stop a program and its descendants: by `graceful_signal`, then SIGKILL. Return whether it ended within `grace` seconds."""
    relatives = process_tree(process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(graceful_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace)
    ended = process.poll() is not None
    kill(relatives)
    kill_group(process.pid)
    process.wait(timeout=10)
    return ended


def kill_group(leader: int) -> None:
    """Kill the rest of the session that `start` created for a program."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill(relatives: Iterable[psutil.Process]) -> None:
    """Kill processes that still run. psutil compares start times, so that a reused pid is safe."""
    for relative in relatives:
        with contextlib.suppress(psutil.NoSuchProcess):
            if relative.is_running():
                relative.kill()


def wait_until_gone(awaited: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for processes, which need not be our children; return those that still run."""
    deadline = time.monotonic() + seconds
    left = list(awaited)
    while left and time.monotonic() < deadline:
        left = [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.02)
    return left
