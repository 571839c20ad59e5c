"""Keeps idle client connections open for 75 s, at most 500 per worker.

gunicorn has one time limit for idle connections and for the arrival of a request's head. A short one, as is needed against
slow senders, would cut off clients that poll every few seconds, sometimes just as they send the next request.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from typing import Any

IDLE_SECONDS = 75.0
MAX_IDLE = 500  # idle connections; the one that has been idle longest is closed to make space
STOP_POLL_SECONDS = 0.25  # between two checks whether the worker is stopping
READ = 1  # libev's flag for "readable"


class IdleConnections:
    """The idle connections of a worker: answered, and waiting for their next request."""

    def __init__(self) -> None:
        self._idle: dict[Event, None] = {}  # by the order in which they became idle
        self._stopping = False

    def wait_for_next_request(self, request: Any, response: Any) -> None:
        """Hold gunicorn's connection after a response until its next request arrives or its idle time is over."""
        if self._stopping or response is None or response.should_close() or request.should_close():
            return
        # After an error gunicorn closes it; and waiting would stall a pipelined request, which is in the buffer already.
        if sys.exception() is not None or request.unreader.buf.getbuffer().nbytes:
            return
        if len(self._idle) >= MAX_IDLE:
            next(iter(self._idle)).set()
        readable = Event()
        self._idle[readable] = None
        watcher = gevent.get_hub().loop.io(request.unreader.sock.fileno(), READ)
        watcher.start(readable.set)
        try:
            readable.wait(IDLE_SECONDS)
        finally:
            watcher.close()
            del self._idle[readable]

    def close_when_stopping(self, worker: Any) -> None:
        """Close all idle connections once the worker is told to stop, so that they do not delay its shutdown."""
        while worker.alive:
            gevent.sleep(STOP_POLL_SECONDS)
        self._stopping = True
        for readable in list(self._idle):
            readable.set()


idle_connections = IdleConnections()
