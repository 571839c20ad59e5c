"""Waits for a call that lies in someone else's hands, no longer than it may take and no longer than it is wanted."""

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
    """The call has not ended in time."""


def call_with_deadline(seconds: float, stop: Callable[[], bool], call: Callable[[], T]) -> T:
    """Return what `call` returns; or raise what it raises, TookTooLong, or Stopped.

    The call is left to its own limits, in a thread of its own: a server that drips keeps no worker waiting.
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
    """Sleep in short steps, as a cancel must not wait for a server."""
    while seconds > 0:
        if stop():
            raise Stopped
        sleep(min(seconds, _STEP))
        seconds -= _STEP
