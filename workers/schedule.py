"""What beat runs, and how often. A round that comes far too late is dropped: the next one does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.names import QueueName, TaskName

if TYPE_CHECKING:
    from shared.settings import Settings

PURGE_SECONDS = 300.0
MEASURE_SECONDS = 15.0  # as often as Prometheus asks by default
# Rounds that nobody took must not pile up for ever. Beat writes this moment down by its clock and a worker reads it by its
# own: a shorter time would keep a worker whose clock is an hour ahead from ever sweeping.
EXPIRY_SECONDS = 7200.0


def schedule(config: Settings) -> dict[str, Any]:
    """Return Celery's beat schedule."""
    sweep = config.sweep_interval.total_seconds()
    return {
        "sweep": {
            "task": TaskName.SWEEP,
            "schedule": sweep,
            "options": {"queue": QueueName.CONTROL, "expires": EXPIRY_SECONDS},
        },
        "deliver": {
            "task": TaskName.DELIVER,
            "schedule": sweep,
            "options": {"queue": QueueName.CONTROL, "expires": EXPIRY_SECONDS},
        },
        "tidy": {
            "task": TaskName.TIDY,
            "schedule": PURGE_SECONDS,
            "options": {"queue": QueueName.CONTROL, "expires": EXPIRY_SECONDS},
        },
        "measure": {
            "task": TaskName.MEASURE,
            "schedule": MEASURE_SECONDS,
            "options": {"queue": QueueName.CONTROL, "expires": EXPIRY_SECONDS},
        },
    }
