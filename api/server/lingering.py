"""Lingering close: reads on for a few seconds after refusing a body, so that its sender can read the response.

gunicorn itself would read the whole body, in a loop that never yields while the sender is fast: one upload would block the
worker.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
from gunicorn.http.errors import ParseException

if TYPE_CHECKING:
    from typing import Any

LINGER_SECONDS = 5.0
CHUNK_BYTES = 64 * 1024


def drain_body(request: Any, seconds: float = LINGER_SECONDS) -> None:
    """Read the rest of gunicorn's request body, and have the connection closed where it does not end in time."""
    until = time.monotonic() + seconds
    with gevent.Timeout(seconds, exception=False):  # fires only while waiting: a fast sender needs the clock
        # After a malformed chunk it is unknown where the next request begins.
        while time.monotonic() < until and not request.body.failed:
            try:
                if not request.body.read(CHUNK_BYTES):
                    return
            except (OSError, ParseException):
                break
            gevent.sleep(0)
    request.force_close()
