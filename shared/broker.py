"""The Celery app, the same object for whoever publishes and whoever works. Importing it connects to nothing."""

from __future__ import annotations

from celery import Celery

from shared.celery_config import celery_settings, priority_for
from shared.settings import settings

app = Celery("scenemill", set_as_current=False)


@app.on_configure.connect
def _configure(sender: Celery, **_: object) -> None:
    """Read the settings when Celery first needs them, not when this module is imported."""
    sender.config_from_object(celery_settings(settings()))


def broker_priority(level: int) -> int:
    """Return the priority of a message whose level is this one: the lowest level is taken first."""
    return priority_for(settings().broker_url, level)
