"""Bounds the memory that large JSON bodies take in this process: their bytes, and the values that are built of them.

Admission by account does not: a few accounts, or a few requests of one, would be enough to use up a container's memory.
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

SMALL_BYTES = 64 * 1024  # a body up to here is not counted
MAX_BYTES = 64 * 1024**2
WAIT_SECONDS = (
    5.0  # for others to end; nothing of the body is in memory meanwhile, or little has been made of it
)
RETRY_SECONDS = 1.0


class Budget:
    """An amount that the requests of this process share. More than all of it is taken for all of it."""

    def __init__(self, most: int, unit: str) -> None:
        self.most = most
        self._unit = unit
        self._left = most
        self._changed = threading.Condition()

    def reserve(self, amount: int) -> int:
        """Take the amount as soon as there is so much, and return what was taken; or raise Unavailable."""
        taken = min(amount, self.most)
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while self._left < taken:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise Unavailable(
                        f"Large JSON bodies are being read here, of {self.most} {self._unit} together at most. "
                        "Send the request again shortly.",
                        RETRY_SECONDS,
                    )
            self._left -= taken
        return taken

    def release(self, amount: int) -> None:
        """Give an amount back."""
        with self._changed:
            self._left += amount
            self._changed.notify_all()


_bytes = Budget(MAX_BYTES, "bytes")
_values = Budget(MAX_VALUES, "values")


def register(app: Flask) -> None:
    """Give back what a request has reserved when it ends."""
    app.teardown_request(_release)


def reserve_bytes(number: int) -> None:
    """Reserve the bytes of a body, or of a part of it, for as long as the request lasts; or raise Unavailable."""
    if number > SMALL_BYTES:
        _reserve(_bytes, number)


def reserve_values(number: int) -> None:
    """Reserve the values of a body in the same way. Whoever holds some waits for nothing else here."""
    _reserve(_values, number)


def _reserve(budget: Budget, amount: int) -> None:
    g.setdefault("body_memory", []).append((budget, budget.reserve(amount)))


def _release(_: BaseException | None) -> None:
    for budget, amount in g.pop("body_memory", ()):
        budget.release(amount)
