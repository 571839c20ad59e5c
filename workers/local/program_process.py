"""One running program of the local stack: its process, its lines of output, its readiness and restarts."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from workers.local import processes
from workers.local.fork_client import start_program
from workers.local.services import STABLE_SECONDS, Service, pause_before_restart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.local.services import Program

PROBE_SECONDS = 0.1
MAX_LINE = 65_536


class ManagedProgram:
    """The changing state of a service while the stack runs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: Program | None = None
        self.ready = False
        self.output_closed = False
        self.deaths = 0
        self.last_lines: deque[bytes] = deque(maxlen=15)
        self.start_at = 0.0
        self._started = 0.0
        self._probed = 0.0
        self._partial_line = b""

    def start(self) -> None:
        """Start the program."""
        launch = self.service.launch or start_program
        self.process = launch(self.service)
        self.output_closed = False
        self._started = time.monotonic()
        os.set_blocking(self.output, False)

    @property
    def output(self) -> int:
        """The file descriptor of the program's output."""
        if self.process is None or self.process.stdout is None:
            raise RuntimeError(f"{self.service.name} is not started.")
        return self.process.stdout.fileno()

    @property
    def is_overdue(self) -> bool:
        """Whether it has not become ready within its time."""
        return not self.ready and time.monotonic() - self._started > self.service.start_seconds

    def read_lines(self) -> Iterator[bytes]:
        """Yield the complete lines that the program has written, without waiting."""
        while True:
            try:
                block = os.read(self.output, 65_536)
            except BlockingIOError:
                return
            *whole, self._partial_line = (self._partial_line + block).split(b"\n")
            if not block or len(self._partial_line) > MAX_LINE:
                whole, self._partial_line = [*whole, self._partial_line], b""
            yield from (self._remember(line) for line in whole if line.strip())
            if not block:
                self.output_closed = True
                return

    def _remember(self, line: bytes) -> bytes:
        self.last_lines.append(line)
        return line

    def probe(self) -> bool:
        """Return whether it has just become ready."""
        probe = self.service.ready
        if probe is None or self.ready or time.monotonic() - self._probed < PROBE_SECONDS:
            return False
        self.ready = probe()
        self._probed = time.monotonic()
        return self.ready

    def reap(self) -> int:
        """Handle the program's end: kill its descendants and schedule the restart; return the exit code."""
        if self.process is None or self.process.returncode is None:
            raise RuntimeError(f"{self.service.name} has not ended.")
        code = self.process.returncode
        processes.kill_group(self.process.pid)
        if self.process.stdout is not None:
            self.process.stdout.close()
        now = time.monotonic()
        self.deaths = 1 if now - self._started > STABLE_SECONDS else self.deaths + 1
        self.start_at = now + pause_before_restart(self.deaths)
        self.process = None
        self.ready = self.service.one_shot and code == 0
        self._partial_line = b""
        return code
