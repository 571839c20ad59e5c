"""Start the programs of the local stack on a leash, and end them with all that descends from them."""

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
    """The system user that a program runs as. -1 is whoever started us."""

    uid: int = -1
    gid: int = -1


CURRENT_USER = Owner()


def child_environment(**more: str) -> dict[str, str]:
    """Return our own environment for a child, with `more` over it. It is handed on unread: settings read it."""
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
    """Start a program in a session of its own, so that a Ctrl-C reaches it only through us.

    It dies with the calling thread: call this from the main thread.
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
    """Return the process and all that descend from it, while they exist."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def stop(process: subprocess.Popen[bytes], graceful_signal: signal.Signals, *, grace: float) -> bool:
    """End a program and its children: `gently`, then by SIGKILL. Tell whether it ended by itself."""
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
    """Kill what is left of the session that `start` made for a program."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill(relatives: Iterable[psutil.Process]) -> None:
    """Kill processes that still run. psutil compares start times, so a reused pid is safe."""
    for relative in relatives:
        with contextlib.suppress(psutil.NoSuchProcess):
            if relative.is_running():
                relative.kill()


def wait_until_gone(awaited: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for processes that need not be our children, and return those that still run."""
    deadline = time.monotonic() + seconds
    left = list(awaited)
    while left and time.monotonic() < deadline:
        left = [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.02)
    return left
