"""What beat runs, and how often. A round that comes late is dropped: the next one does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.names import QueueName, TaskName

if TYPE_CHECKING:
    from shared.settings import Settings

TIDY_SECONDS = 300.0


def schedule(config: Settings) -> dict[str, Any]:
    """Return Celery's beat schedule."""
    sweep = config.sweep.total_seconds()
    return {
        "sweep": {
            "task": TaskName.SWEEP,
            "schedule": sweep,
            "options": {"queue": QueueName.CONTROL, "expires": max(sweep * 2, 5.0)},
        },
        "deliver": {
            "task": TaskName.DELIVER,
            "schedule": sweep,
            "options": {"queue": QueueName.CONTROL, "expires": max(sweep * 2, 5.0)},
        },
        "tidy": {
            "task": TaskName.TIDY,
            "schedule": TIDY_SECONDS,
            "options": {"queue": QueueName.CONTROL, "expires": TIDY_SECONDS},
        },
    }
