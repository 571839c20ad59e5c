"""Limits how many event streams start at a time, so that a thousand clients that reconnect at once are all served.

Starting one takes a database connection, to authenticate and to read the current state; without the limit most would time
out waiting for one. The slot is released when the stream starts.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from flask import Flask, g, request

from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.settings import Settings

SLOT_SECONDS = 30.0  # to wait for a slot; a thousand streams start within a third of that


def register(app: Flask, config: Settings) -> None:
    """Make streams wait for a slot before their first query. Other requests keep half of the connections."""
    slots = StartSlots(max(1, config.database_pool_size // 2))
    app.before_request(slots.acquire)
    app.teardown_request(slots.release)


class StartSlots:
    """Slots for starting streams."""

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)

    def acquire(self) -> None:
        """Wait for a slot if the request starts a stream; raise Unavailable after 30 s."""
        if (
            request.method != "GET"
            or not request.path.startswith("/v1/")
            or not request.path.endswith("/events")
        ):
            return
        if not self._free.acquire(timeout=SLOT_SECONDS):
            raise Unavailable("Too many event streams are starting at once. Reconnect in a few seconds.")
        g.stream_slot = True

    def release(self, _: BaseException | None) -> None:
        """Release the request's slot, once."""
        if g.pop("stream_slot", False):
            self._free.release()
