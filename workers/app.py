"""The worker's side of the Celery app: it knows the tasks, logs as JSON, forgets the parent's connections after a fork."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from billiard.exceptions import WorkerLostError
from celery import signals

import tasks.registry  # noqa: F401  (registers every task)
from shared import db, deaths, draining, logs, orphans
from shared.broker import app
from shared.errors import Unavailable
from shared.settings import settings
from workers import metrics
from workers.schedule import schedule

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["app"]

log = logging.getLogger(__name__)


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


@signals.task_failure.connect
def _note_a_death(task_id: str, exception: BaseException, **_: object) -> None:
    """Count the death of a pool process against its job: the parent is told of it here, and of nothing else."""
    if not isinstance(exception, WorkerLostError) or draining.has_begun():
        return
    try:
        with db.transaction() as session:
            deaths.note(session, task_id)
    except Unavailable:  # then its lease runs out
        log.warning("death_not_noted", extra={"message_id": task_id})


@signals.worker_process_init.connect
def _begin_a_process(**_: object) -> None:
    db.after_fork()
    orphans.adopt()


@signals.worker_ready.connect
def _serve_metrics(**_: object) -> None:
    metrics.serve(settings().worker_metrics_port, settings().worker_metrics_host)


@signals.worker_process_shutdown.connect
def _leave_metrics(pid: int | None = None, **_: object) -> None:
    metrics.leave(pid)
