"""Limits the memory of large JSON bodies in this process: their bytes, and the values parsed from them.

Rate limits by account do not: a few large requests, even of one account, could exhaust a container's memory.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from flask import g

from shared.errors import Unavailable
from shared.script.schema.loading import MAX_VALUES

if TYPE_CHECKING:
    from flask import Flask

SMALL_BYTES = 64 * 1024  # smaller bodies are not counted
MAX_BYTES = 64 * 1024**2
# A waiting request holds little memory: its body has not been read, or not been parsed.
WAIT_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Budget:
    """An amount that the requests of this process share. A request for more than all of it reserves all of it."""

    def __init__(self, maximum: int, unit: str) -> None:
        self.maximum = maximum
        self._unit = unit
        self._left = maximum
        self._changed = threading.Condition()

    def reserve(self, amount: int) -> int:
        """Wait until the amount is free, reserve it and return it; raise Unavailable after WAIT_SECONDS."""
        reserved = min(amount, self.maximum)
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while self._left < reserved:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise Unavailable(
                        f"Large JSON bodies of other requests use the {self.maximum} {self._unit} that this process allows. "
                        "Try again in a second.",
                        RETRY_SECONDS,
                    )
            self._left -= reserved
        return reserved

    def release(self, amount: int) -> None:
        """Release a reserved amount."""
        with self._changed:
            self._left += amount
            self._changed.notify_all()


_bytes = Budget(MAX_BYTES, "bytes")
_values = Budget(MAX_VALUES, "values")


def register(app: Flask) -> None:
    """Release a request's reservations when it ends, however it ends."""
    app.teardown_request(_release)


def reserve_bytes(number: int) -> None:
    """Reserve the bytes of a body, or of a part of it, until the request ends; raise Unavailable."""
    if number > SMALL_BYTES:
        _reserve(_bytes, number)


def reserve_values(number: int) -> None:
    """Reserve the values of a body, after its bytes: the fixed order prevents deadlocks."""
    _reserve(_values, number)


def _reserve(budget: Budget, amount: int) -> None:
    g.setdefault("body_memory", []).append((budget, budget.reserve(amount)))


def _release(_: BaseException | None) -> None:
    for budget, amount in g.pop("body_memory", ()):
        budget.release(amount)
