"""The worker's consumer, which looks for a lost broker more often than Celery's own: that one may wait for half a minute."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

FIRST_PAUSE, MAX_PAUSE = 0.5, 4  # seconds between two tries; each is half a second longer than the last


class Consumer(CelerysConsumer):
    """Celery's consumer, less patient."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and try again until it goes."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=FIRST_PAUSE,
            interval_step=FIRST_PAUSE,
            interval_max=MAX_PAUSE,
        )
        return super().ensure_connected(conn)
