"""The Celery app that publishers and workers share. Importing it connects to nothing."""

from __future__ import annotations

from celery import Celery

from shared.celery_config import celery_settings, priority_for
from shared.settings import settings

# Not the current app: a library that creates one of its own must not replace it.
app = Celery("scenemill", set_as_current=False)


@app.on_configure.connect
def _configure(sender: Celery, **_: object) -> None:
    """Read the settings when Celery first needs them, not when this module is imported."""
    sender.config_from_object(celery_settings(settings()))


def broker_priority(level: int) -> int:
    """Return the message priority for a level, where 0 is the most urgent, in the order that this broker uses."""
    return priority_for(settings().broker_url, level)
