"""Starts the programs of the local stack in order, restarts those that die, and stops them in order.

One thread does everything: a parent-death signal belongs to the thread that started the child.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import TYPE_CHECKING

from workers.local import processes
from workers.local.program_process import ManagedProgram
from workers.local.services import Service, may_start, stop_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    import psutil

    from workers.local.output import StackLog

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HURRIED_GRACE = 1.0  # seconds for each group after the second Ctrl-C
BUSY_TICK, IDLE_TICK = 0.03, 0.5


class StartFailed(Exception):
    """A program ended, or was not ready in time, before the stack was up."""


class Supervisor:
    """The programs of a running stack."""

    def __init__(self, services: tuple[Service, ...], log: StackLog, on_change: Callable[[], None]) -> None:
        self.children = {service.name: ManagedProgram(service) for service in services}
        self._services = services
        self._log = log
        self._on_change = on_change
        self._selector = selectors.DefaultSelector()
        self._stops = 0
        self._up = False

    def run(self, on_ready: Callable[[], bool]) -> None:
        """Start everything, call `on_ready`, keep everything running until a stop signal, then stop everything.

        `on_ready` returns whether to stay up. Raise StartFailed when the stack did not come up.
        """
        with self._signals():
            try:
                while not self._stops:
                    self._tick()
                    if not self._up and all(child.ready for child in self.children.values()):
                        self._up = True
                        if not on_ready():
                            break
            finally:
                self._stop()

    def pids(self, name: str) -> list[int]:
        """Return the pids of a program and its descendants, its own first."""
        process = self.children[name].process
        return [] if process is None else [one.pid for one in processes.process_tree(process.pid)]

    def running(self) -> Iterator[tuple[str, int]]:
        """Yield name and pid of each running program."""
        for name, child in self.children.items():
            if child.process is not None:
                yield name, child.process.pid

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Count stop signals, and wake the loop at each."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._selector.register(reader, selectors.EVENT_READ, data=None)
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        former = {number: signal.signal(number, self._on_stop_signal) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            self._selector.close()
            os.close(reader)
            os.close(writer)

    def _on_stop_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _tick(self) -> None:
        """Do one round: read output, handle exits, start what may start, probe for readiness."""
        self._read_output(IDLE_TICK if self._up else BUSY_TICK)
        for child in self.children.values():
            self._supervise(child)

    def _read_output(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(key.fd, 512)
            else:
                self._log_lines(key.data)
                if key.data.output_closed:
                    self._selector.unregister(key.fd)

    def _log_lines(self, child: ManagedProgram) -> None:
        for line in child.read_lines():
            if not child.service.hides_output:
                self._log.line(child.service.name, line)

    def _supervise(self, child: ManagedProgram) -> None:
        if child.process is not None:
            if child.process.poll() is not None:
                self._handle_exit(child)
            elif child.probe():
                self._log.event("program_ready", program=child.service.name)
            elif child.is_overdue and not self._up:
                raise StartFailed(
                    self._failure_message(child, f"was not ready within {child.service.start_seconds:.0f} s")
                )
        elif self._may_start(child):
            self._start(child)

    def _may_start(self, child: ManagedProgram) -> bool:
        done = child.service.one_shot and child.ready
        return (
            not done and time.monotonic() >= child.start_at and may_start(child.service, self._ready_names())
        )

    def _ready_names(self) -> set[str]:
        return {name for name, child in self.children.items() if child.ready}

    def _start(self, child: ManagedProgram) -> None:
        child.start()
        self._selector.register(child.output, selectors.EVENT_READ, data=child)
        self._on_change()

    def _handle_exit(self, child: ManagedProgram) -> None:
        """Handle an exit: success of a `one_shot` program makes it ready; any other exit is logged and restarted."""
        code = self._reap(child)
        name = child.service.name
        if not child.ready and not self._up:
            raise StartFailed(self._failure_message(child, f"ended with {code}"))
        if not child.ready:
            pause = round(child.start_at - time.monotonic(), 1)
            self._log.event("program_died", level="ERROR", program=name, code=code, restart_in=pause)
        self._on_change()

    def _reap(self, child: ManagedProgram) -> int:
        if not child.output_closed:
            self._log_lines(child)
            self._selector.unregister(child.output)
        return child.reap()

    @staticmethod
    def _failure_message(child: ManagedProgram, what: str) -> str:
        said = "\n".join(line.decode(errors="replace") for line in child.last_lines)
        return f"{child.service.name} {what}.\n{said}".rstrip()

    def _stop(self) -> None:
        """Stop the groups in order: each has its grace, 1 s after a second signal, then SIGKILL."""
        self._log.event("stack_stopping")
        for rank in stop_groups(self._services):
            self._stop_group([self.children[service.name] for service in rank])
        self._stop_group([child for child in self.children.values() if child.service.one_shot])
        self._log.event("stack_stopped")

    def _stop_group(self, group: list[ManagedProgram]) -> None:
        alive = [child for child in group if child.process is not None]
        relatives = [
            one for child in alive if child.process for one in processes.process_tree(child.process.pid)
        ]
        for child in alive:
            if child.process is not None:
                child.process.send_signal(child.service.stop_signal)
        began, quick_from = time.monotonic(), None
        while alive:
            self._read_output(BUSY_TICK)
            alive = [child for child in alive if not self._has_stopped(child)]
            now = time.monotonic()
            if self._stops > 1 and quick_from is None:
                quick_from = now
            over = quick_from is not None and now - quick_from > HURRIED_GRACE
            for child in alive:
                if child.process is not None and (over or now - began > child.service.grace):
                    self._log.event("program_killed", level="WARNING", program=child.service.name)
                    child.process.kill()
                    child.process.wait(timeout=10)
        self._kill_survivors(relatives)

    def _has_stopped(self, child: ManagedProgram) -> bool:
        if child.process is None or child.process.poll() is None:
            return False
        self._reap(child)
        self._on_change()
        return True

    @staticmethod
    def _kill_survivors(relatives: list[psutil.Process]) -> None:
        """Kill what outlived its parent, and wait until it is gone."""
        processes.kill(relatives)
        processes.wait_until_gone(relatives, 5)
