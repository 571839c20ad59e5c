"""Reads what is left of a refused body for a while, so that its sender gets to read why, and lets others go on meanwhile.

gunicorn reads it to its end, in a loop that never gives way where the sender is fast: one of them would stop the process.
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
    """Read gunicorn's request to its end, or have its connection closed when the time is over."""
    until = time.monotonic() + seconds
    with gevent.Timeout(seconds, exception=False):  # it fires only where somebody waits
        # Where its body has failed, nobody knows where the next request begins.
        while time.monotonic() < until and not request.body.failed:
            try:
                if not request.body.read(CHUNK_BYTES):
                    return
            except (OSError, ParseException):
                break
            gevent.sleep(0)
    request.force_close()
