"""Lets streams of events begin a few at a time, so that a thousand that come again at once are all served, soon.

Who begins one asks Postgres who they are and how things stand, and there are few connections to it: without turns most
would wait for one in vain. A turn is over when the stream begins: streams themselves hold none.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from flask import Flask, g, request

from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.settings import Settings

SLOT_SECONDS = 30.0  # that one waits for its turn; a thousand are through in a third of that


def register(app: Flask, config: Settings) -> None:
    """Let streams wait for their turn before anything is asked for them. Other requests keep half the connections."""
    turns = StartSlots(max(1, config.database_pool_size // 2))
    app.before_request(turns.acquire)
    app.teardown_request(turns.release)


class StartSlots:
    """A number of turns that are taken and given back."""

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)

    def acquire(self) -> None:
        """Wait for a turn, where the request needs one, or raise Unavailable."""
        if (
            request.method != "GET"
            or not request.path.startswith("/v1/")
            or not request.path.endswith("/events")
        ):
            return
        if not self._free.acquire(timeout=SLOT_SECONDS):
            raise Unavailable("Too many streams of events begin at once. Try again shortly.")
        g.turn = True

    def release(self, _: BaseException | None) -> None:
        """Give the turn back, once."""
        if g.pop("turn", False):
            self._free.release()
