"""The heartbeat beside a piece of work: keeps its lease, tells its progress, and hears when it is no longer wanted."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Self

from shared import timers
from shared.errors import Unavailable
from shared.logs import bind, bound_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from types import TracebackType

log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `beat` once per `every` in a thread of its own, as long as the `with` lasts.

    The thread begins with the first beat: work that is over before needs none.

    `beat` returns whether the work is still wanted. It is not when `beat` says so, or when no beat got through for as
    long as the lease lasts: by then somebody else may hold it.
    """

    def __init__(self, beat: Callable[[], bool], *, every: timedelta, lease: timedelta) -> None:
        self._beat = beat
        self._every = every.total_seconds()
        self._lease = lease.total_seconds()
        self._finished = threading.Event()
        self._stop_requested = threading.Event()
        self._context = bound_fields()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._began = 0.0
        self._first: timers.Timer | None = None

    def should_stop(self) -> bool:
        """Tell whether the work is to be dropped. Cheap: it looks at a flag."""
        return self._stop_requested.is_set()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._first = timers.call_later(self._every, self._thread.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        if self._first is not None and not timers.cancel(self._first):
            self._thread.join(timeout=30)

    def _run(self) -> None:
        with bind(**self._context):
            last_success = began = self._began
            # What a beat itself takes does not put the next one off.
            while not self._finished.wait(max(0.0, began + self._every - time.monotonic())):
                began = time.monotonic()
                try:
                    keep_going = self._beat()
                    last_success = began
                except Unavailable:
                    log.warning("heartbeat_missed")
                    keep_going = time.monotonic() - last_success < self._lease
                except Exception:
                    log.exception("heartbeat_unexpected_error")
                    keep_going = time.monotonic() - last_success < self._lease
                if not keep_going:
                    self._stop_requested.set()
                    return
