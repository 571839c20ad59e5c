"""Beat's schedule: which periodic task runs how often. A round that comes very late is dropped, as the next one does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.names import QueueName, TaskName

if TYPE_CHECKING:
    from shared.settings import Settings

PURGE_SECONDS = 300.0
MEASURE_SECONDS = 15.0  # Prometheus's usual scrape interval
# Rounds must not pile up while no worker runs. Beat's clock sets the expiry and a worker's clock judges it: with a shorter
# one, a worker whose clock is an hour ahead would never sweep.
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
