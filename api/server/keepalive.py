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

SECONDS = 75.0
MOST = 500  # connections that rest, of the thousands that a process has; who has rested longest makes room
LOOK_SECONDS = 0.25  # between two looks at whether the worker ends
READ = 1  # what libev calls it


class Rest:
    """The connections of a worker that nothing was asked on since they were answered."""

    def __init__(self) -> None:
        self._resting: dict[Event, None] = {}  # in the order in which they began
        self._over = False

    def until_more(self, request: Any, response: Any) -> None:
        """Wait on gunicorn's connection for what follows an answered request, where something may follow."""
        if self._over or response is None or response.should_close() or request.should_close():
            return
        if sys.exception() is not None or request.unreader.buf.getbuffer().nbytes:
            return
        if len(self._resting) >= MOST:
            next(iter(self._resting)).set()
        heard = Event()
        self._resting[heard] = None
        reading = gevent.get_hub().loop.io(request.unreader.sock.fileno(), READ)
        reading.start(heard.set)
        try:
            heard.wait(SECONDS)
        finally:
            reading.close()
            del self._resting[heard]

    def end_with(self, worker: Any) -> None:
        """Let nobody rest any more once the worker is told to end: its time limit for requests holds for them then."""
        while worker.alive:
            gevent.sleep(LOOK_SECONDS)
        self._over = True
        for heard in list(self._resting):
            heard.set()


rest = Rest()
