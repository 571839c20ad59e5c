"""The worker's side of the Celery app: it knows the tasks, logs as JSON, forgets the parent's connections after a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import signals

import tasks.registry  # noqa: F401  (registers every task)
from shared import db, draining, logs
from shared.broker import app
from shared.settings import settings
from workers import metrics
from workers.schedule import schedule

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["app"]


@app.on_after_configure.connect
def _plan_beat(sender: Celery, **_: object) -> None:
    sender.conf.beat_schedule = schedule(settings())


@signals.setup_logging.connect
def _log_as_json(**_: object) -> None:
    logs.configure(settings().log_level, "worker")


@signals.worker_init.connect
def _share_memory(**_: object) -> None:
    draining.share()


@signals.worker_shutting_down.connect
def _drain(**_: object) -> None:
    draining.begin()


@signals.worker_process_init.connect
def _forget_the_parents_connections(**_: object) -> None:
    db.after_fork()


@signals.worker_ready.connect
def _serve_metrics(**_: object) -> None:
    metrics.serve(settings().worker_metrics_port, settings().worker_metrics_host)


@signals.worker_process_shutdown.connect
def _leave_metrics(pid: int | None = None, **_: object) -> None:
    metrics.leave(pid)
