"""Runs calls after a delay unless they are cancelled first, with one thread per process for all of them.

Most timers are cancelled: a job that takes ten milliseconds needs neither a heartbeat nor a publisher beside it, and
starting and joining a thread for each would cost more than the job.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


@dataclass(slots=True, order=True)
class Timer:
    """A pending call. `due` is a time of `time.monotonic`."""

    due: float
    number: int
    call: Callable[[], object] | None = field(compare=False)


class TimerThread:
    """Runs due calls in a thread of its own. A call must be short: it delays the others and every `cancel`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Timer] = []
        self._numbers = itertools.count()
        self._wakes = 0.0
        self._thread: threading.Thread | None = None

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Schedule a call in so many seconds."""
        with self._changed:
            timer = Timer(time.monotonic() + seconds, next(self._numbers), call)
            heapq.heappush(self._waiting, timer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
                self._thread.start()
            elif timer.due < self._wakes:
                self._changed.notify()
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Return True if the call has not been made and never will be, False if it has been made."""
        with self._changed:
            pending, timer.call = timer.call is not None, None
        return pending

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._waiting and self._waiting[0].due <= now:
                    self._fire(heapq.heappop(self._waiting))
                self._wakes = self._waiting[0].due if self._waiting else float("inf")
                self._changed.wait(max(0.0, self._wakes - now) if self._waiting else None)

    @staticmethod
    def _fire(timer: Timer) -> None:
        call, timer.call = timer.call, None
        if call is None:
            return
        try:
            call()
        except Exception:
            log.exception("timer_unexpected_error")


_timers = TimerThread()


def _reset_after_fork() -> None:
    """Start afresh in a forked child: the parent's thread does not exist there, and its lock may be held for ever."""
    global _timers  # noqa: PLW0603 (one a process)
    _timers = TimerThread()


os.register_at_fork(after_in_child=_reset_after_fork)


def call_later(seconds: float, call: Callable[[], object]) -> Timer:
    """Schedule a call in this process in so many seconds. It must be short, such as starting a thread."""
    return _timers.call_later(seconds, call)


def cancel(timer: Timer) -> bool:
    """Return True if the call has not been made and never will be, False if it has been made."""
    return _timers.cancel(timer)
