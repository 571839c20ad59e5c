"""The Celery app of beat: its schedule and its logging. It imports no task, since beat sends names only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import signals

from shared import logs
from shared.broker import app
from shared.settings import settings, warn_of_former_names
from workers.schedule import schedule

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["app"]


@app.on_after_configure.connect
def _set_schedule(sender: Celery, **_: object) -> None:
    sender.conf.beat_schedule = schedule(settings())


@signals.setup_logging.connect
def _log_as_json(**_: object) -> None:
    logs.configure(settings().log_level, "worker")
    warn_of_former_names()
