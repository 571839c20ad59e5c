"""The state files of a data folder: its lock, the programs' pids, the stack's addresses.

A killed stack leaves them behind. A recorded pid is trusted only if the process's start time, working folder or
environment matches.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workers.local import processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Holds the data folder in every program's environment, by which its descendants are recognised.
STACK_VARIABLE = "SCENEMILL_STACK"
# These close their files properly on this signal; all other programs are killed.
GRACEFUL_SIGNALS = {"postgres": signal.SIGQUIT, "redis": signal.SIGTERM}


class AlreadyRunning(Exception):
    """Another `up` holds this data folder."""


@dataclass(frozen=True)
class State:
    """A data folder's state files."""

    folder: Path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder, or raise AlreadyRunning. The kernel releases the lock however this process ends."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "up.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._already_running()) from None
            try:
                yield
            finally:
                self._addresses.unlink(missing_ok=True)

    def _already_running(self) -> str:
        addresses = self.addresses()
        where = f" at {addresses['api']}" if addresses else ""
        return (
            f"Scenemill is already running on {self.folder}{where}. "
            "Stop it by Ctrl-C in its terminal, or choose another folder with --data."
        )

    @property
    def _addresses(self) -> Path:
        return self.folder / "up.json"

    @property
    def _pids(self) -> Path:
        return self.folder / "processes.json"

    def write_addresses(self, addresses: dict[str, Any]) -> None:
        """Write the addresses of the stack that is now ready; they include secrets."""
        _write_privately(self._addresses, addresses)

    def addresses(self) -> dict[str, Any] | None:
        """Return the addresses of the running stack, or None while it is not ready."""
        found = _read(self._addresses)
        return found if isinstance(found, dict) else None

    def record(self, running: Iterable[tuple[str, int]]) -> None:
        """Write the pids of our programs.

        On a full disk the last record stays, and must not end the stack: programs it lacks are found by their
        environment.
        """
        rows = []
        for name, pid in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                rows.append({"name": name, "pid": pid, "started": psutil.Process(pid).create_time()})
        with contextlib.suppress(OSError):
            _write_privately(self._pids, rows)

    def end_orphans(self) -> list[str]:
        """End what an earlier stack on this folder left running; return the names of the ended programs."""
        recorded = [(row, one) for row in _read(self._pids) or [] if (one := self._verified(row))]
        relatives = [relative for _, one in recorded for relative in processes.process_tree(one.pid)]
        marked = list(self._marked())
        for row, one in recorded:
            if gentle := GRACEFUL_SIGNALS.get(row["name"]):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(gentle)
        processes.wait_until_gone([one for row, one in recorded if row["name"] in GRACEFUL_SIGNALS], 5)
        processes.kill([*relatives, *marked])
        processes.wait_until_gone([*relatives, *marked], 5)
        self._forget_dead_postmaster()
        return [row["name"] for row, _ in recorded]

    def _verified(self, row: dict[str, Any]) -> psutil.Process | None:
        """Return the recorded process if it is still the same one: same start time, at work in this folder."""
        try:
            one = psutil.Process(row["pid"])
            # Start times are relative to the boot time, which may be adjusted by up to a second.
            same_start = abs(one.create_time() - row["started"]) < 2
            ours = same_start and Path(one.cwd()).is_relative_to(self.folder)
        except psutil.Error:
            return None
        return one if ours else None

    def _marked(self) -> Iterator[psutil.Process]:
        """Yield the processes whose environment names this folder."""
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.pid != os.getpid() and one.environ().get(STACK_VARIABLE) == str(self.folder):
                    yield one

    def _forget_dead_postmaster(self) -> None:
        """Remove Postgres's pid file if another program has its pid by now: Postgres would refuse to start."""
        file = self.folder / "postgres" / "postmaster.pid"
        try:
            pid = int(file.read_text().split("\n", 1)[0])
            working = Path(psutil.Process(pid).cwd()) == file.parent
        except FileNotFoundError:
            return
        except (ValueError, psutil.Error):
            working = False
        if not working:
            file.unlink(missing_ok=True)


def _write_privately(path: Path, value: Any) -> None:
    """Write JSON that only its owner can read, atomically."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        json.dump(value, target)
    draft.replace(path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
