"""The heartbeat beside a piece of work: renews its lease, writes its progress, and learns when the work must stop."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from shared import timers
from shared.errors import RenderTimeout, Unavailable
from shared.logs import bind, bound_fields
from shared.processes.ffmpeg import Stopped
from tasks import watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from types import TracebackType

    from shared.errors import ServiceError

log = logging.getLogger(__name__)


CPU_LEASES = 2  # CPU time that the process may use between two beats, as a multiple of the lease
GRACE = 1.0  # seconds that work has to return in after it was told to stop


class Heartbeat:
    """Calls `beat` every `every` in a thread of its own while the `with` block runs.

    The thread starts with the first beat, so that work shorter than that needs no thread.

    The work must stop when `beat` returns False, when no beat got through for as long as the lease lasts (another worker
    may hold it by then), when `should_stop` was not called within the progress deadline, or when `check` returns an
    error. Work that has not returned a second later is ended with its process, after `abandon` has settled it. The error
    is what the work fails with; None means that it is only dropped.
    """

    def __init__(
        self,
        beat: Callable[[], bool],
        *,
        every: timedelta,
        lease: timedelta,
        check: Callable[[], ServiceError | None] = lambda: None,
        abandon: Callable[[ServiceError | None], object] = lambda _: None,
    ) -> None:
        self._beat = beat
        self._every = every.total_seconds()
        self._lease = lease.total_seconds()
        self._check = check
        self._abandon = abandon
        self._finished = threading.Event()
        self._stop_requested = threading.Event()
        self._exit_lock = threading.Lock()
        self._context = bound_fields()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._began = 0.0
        self._last_sign = 0.0
        self._deadline: tuple[float, str] | None = None
        self._error: ServiceError | None = None
        self._first: timers.Timer | None = None

    def should_stop(self) -> bool:
        """Return whether the work must stop. It only reads a flag; each call counts as the work's sign of life."""
        self._last_sign = time.monotonic()
        return self._stop_requested.is_set()

    @contextmanager
    def progress_deadline(self, seconds: timedelta, late: str) -> Iterator[None]:
        """Limit the time between two calls of `should_stop` in the block; past it the work fails with the message `late`."""
        before = self._deadline
        self._last_sign, self._deadline = time.monotonic(), (seconds.total_seconds(), late)
        try:
            yield
        finally:
            self._last_sign, self._deadline = time.monotonic(), before

    def __enter__(self) -> Self:
        self._began = self._last_sign = time.monotonic()
        watchdog.limit_cpu(CPU_LEASES * self._lease)
        self._first = timers.call_later(self._every, self._thread.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._exit_lock:  # else the work could be settled twice: here and by `abandon`
            self._finished.set()
        if self._first is not None and not timers.cancel(self._first):
            self._thread.join(timeout=30)
        watchdog.limit_cpu(0)  # when no beat can renew it any longer
        if isinstance(error, Stopped) and self._error is not None:
            raise self._error from error

    def _run(self) -> None:
        with bind(**self._context):
            last_success = began = self._began
            # A slow beat must not delay the next one: the lease would run out under a busy database.
            while not self._finished.wait(max(0.0, began + self._every - time.monotonic())):
                began = time.monotonic()
                watchdog.limit_cpu(CPU_LEASES * self._lease)
                try:
                    keep_going = self._beat()
                    last_success = began
                except Unavailable:
                    log.warning("heartbeat_missed")
                    keep_going = time.monotonic() - last_success < self._lease
                except Exception:
                    log.exception("heartbeat_unexpected_error")
                    keep_going = time.monotonic() - last_success < self._lease
                if keep_going:
                    self._error = self._missed_deadline() or self._check()
                if not keep_going or self._error is not None:
                    self._stop_requested.set()
                    self._end_unless_it_returns()
                    return

    def _missed_deadline(self) -> ServiceError | None:
        """Return the error to fail with when the progress deadline has passed, else None."""
        limit = self._deadline
        late = limit is not None and time.monotonic() - self._last_sign > limit[0]
        return RenderTimeout(limit[1]) if limit is not None and late else None

    def _end_unless_it_returns(self) -> None:
        """Settle the work and end this process, unless the block is left within the grace period."""
        if self._finished.wait(GRACE) or not watchdog.may_end_process():
            return
        with self._exit_lock:
            if self._finished.is_set():
                return
            log.error("work_hung", extra={"stack": watchdog.main_stack()})
            try:
                self._abandon(self._error)
            except Exception:
                log.exception(
                    "hung_work_not_settled"
                )  # the lease runs out instead, and the sweeper reclaims the work
            finally:
                watchdog.end_process()
