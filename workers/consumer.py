"""A Celery consumer that reconnects to a lost broker every few seconds; Celery's own waits up to half a minute."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

FIRST_PAUSE, MAX_PAUSE = 0.5, 4  # seconds between two tries; each wait is 0.5 s longer than the last


class Consumer(CelerysConsumer):
    """Celery's consumer, with shorter waits between reconnections."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect to the broker, and retry until it works."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=FIRST_PAUSE,
            interval_step=FIRST_PAUSE,
            interval_max=MAX_PAUSE,
        )
        return super().ensure_connected(conn)
