"""Lets clients keep their connection while they rest: longer than anyone does between two questions, if there is room.

gunicorn has one time limit for a rest and for the arrival of a request's head. A short one, which holds off who sends slowly,
cuts those off who ask every few seconds, now and then at the very moment in which they ask again.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from typing import Any

IDLE_SECONDS = 75.0
MAX_IDLE = (
    500  # connections that rest, of the thousands that a process has; who has rested longest makes room
)
STOP_POLL_SECONDS = 0.25  # between two looks at whether the worker ends
READ = 1  # what libev calls it


class IdleConnections:
    """The connections of a worker that nothing was asked on since they were answered."""

    def __init__(self) -> None:
        self._idle: dict[Event, None] = {}  # in the order in which they began
        self._stopping = False

    def wait_for_next_request(self, request: Any, response: Any) -> None:
        """Wait on gunicorn's connection for what follows an answered request, where something may follow."""
        if self._stopping or response is None or response.should_close() or request.should_close():
            return
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
        """Let nobody rest any more once the worker is told to end: its time limit for requests holds for them then."""
        while worker.alive:
            gevent.sleep(STOP_POLL_SECONDS)
        self._stopping = True
        for readable in list(self._idle):
            readable.set()


idle_connections = IdleConnections()
