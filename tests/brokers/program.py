"""A server that a test starts, kills and starts again; it dies with the test's process."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.local import processes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 60


@dataclass
class Program:
    """One server. `ready` says whether it answers."""

    argv: Sequence[str]
    folder: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = processes.start(self.argv, env=self.env, cwd=self.folder, output=output)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.argv[0]} did not start: {log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Return the pid of what runs."""
        assert self._process is not None, f"{self.argv[0]} does not run"
        return self._process.pid

    def kill(self) -> None:
        """End it at once, with its children."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as one does."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            processes.stop(self._process, number, grace=15)
            self._process = None
