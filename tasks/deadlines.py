"""Bounds calls to services outside by a deadline and by cancellation, even where the service drips bytes for ever."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from shared.processes.ffmpeg import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_POLL = 0.05
_STEP = 0.2


class DeadlineExceeded(Exception):
    """The call did not return within its deadline."""


def call_with_deadline(seconds: float, stop: Callable[[], bool], call: Callable[[], T]) -> T:
    """Return what `call` returns; raise what it raises, DeadlineExceeded, or Stopped once `stop` returns True.

    The call runs in a thread of its own. After the deadline the thread is left behind, to end by the call's own timeouts:
    a server that sends a byte now and then must not keep a worker's slot.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            failure.append(error)

    context = copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="call-outside", daemon=True)
    until = time.monotonic() + seconds
    thread.start()
    while thread.is_alive():
        thread.join(_POLL)
        if stop():
            raise Stopped
        if time.monotonic() > until and thread.is_alive():
            raise DeadlineExceeded
    if failure:
        raise failure[0]
    return outcome[0]


def sleep_unless_stopped(seconds: float, stop: Callable[[], bool], sleep: Callable[[float], None]) -> None:
    """Sleep in steps of 0.2 s and raise Stopped as soon as `stop` returns True, so that a cancel need not wait."""
    while seconds > 0:
        if stop():
            raise Stopped
        sleep(min(seconds, _STEP))
        seconds -= _STEP
