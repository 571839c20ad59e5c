"""A circuit breaker: after several failures in a row an endpoint is not called for a while, then tried once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURE_THRESHOLD = 5
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0


class CircuitBreaker:
    """Counts the failures of one endpoint in this process. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0

    def seconds_until_allowed(self) -> float:
        """Return 0 when the endpoint may be called, else the seconds until it may.

        After a pause one caller is let through; the others wait for another pause, unless that call succeeds.
        """
        with self._lock:
            if self._failures < FAILURE_THRESHOLD:
                return 0.0
            left = self._open_until - self._clock()
            if left <= 0:
                self._open_until = self._clock() + self._pause
                return 0.0
            return left

    @property
    def is_open(self) -> bool:
        """Whether the endpoint may not be called now."""
        with self._lock:
            return self._failures >= FAILURE_THRESHOLD and self._open_until > self._clock()

    def record_success(self) -> None:
        """Close the circuit."""
        with self._lock:
            self._failures, self._pause = 0, FIRST_PAUSE

    def record_failure(self) -> None:
        """Count a failure. FAILURE_THRESHOLD of them open the circuit; each further one doubles the pause, up to 300 s."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURE_THRESHOLD:
                return
            if self._failures > FAILURE_THRESHOLD:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._open_until = self._clock() + self._pause
