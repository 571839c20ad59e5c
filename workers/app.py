"""The Celery app of a worker: registers the tasks and connects Celery's signals: memory shared by forks, shutdown, crashes."""

from __future__ import annotations

import gc
import logging

from billiard import pool
from billiard.exceptions import WorkerLostError
from celery import signals

import tasks.registry  # noqa: F401  (registers every task)
from shared import db
from shared.dispatch import publishing
from shared.errors import Unavailable
from shared.processes import orphans
from shared.settings import settings
from tasks import draining, watchdog
from tasks.lifecycle import worker_crashes
from workers import metrics
from workers.beat import app

__all__ = ["app"]

log = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0  # for a process that ends to publish its messages; the sweep publishes the rest

# A pool process that ends waits until its parent has read all results, by default for 30 s, which a parent that ends too may
# never do. We send no results, so that a shorter wait loses nothing.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20  # tries, a tenth of a second each


@signals.worker_init.connect
def _prepare_parent(**_: object) -> None:
    draining.allocate()
    # The garbage collector writes to every object that it inspects, which would copy all imported memory into each fork.
    gc.collect()
    gc.freeze()


@signals.worker_shutting_down.connect
def _start_draining(**_: object) -> None:
    draining.start()


@signals.task_failure.connect
def _record_crash(task_id: str, exception: BaseException, **_: object) -> None:
    """Count a pool process's crash against its job: Celery reports it to the parent, by this signal only."""
    if not isinstance(exception, WorkerLostError) or draining.is_active():
        return
    if f"exitcode {watchdog.ABANDONED}" in str(exception):  # the watchdog ended it after settling its work
        return
    try:
        with db.transaction() as session:
            worker_crashes.record_crash(session, task_id)
    except Unavailable:  # the lease runs out instead
        log.warning("crash_not_recorded", extra={"message_id": task_id})


@signals.worker_process_init.connect
def _start_pool_process(**_: object) -> None:
    db.after_fork()
    orphans.become_subreaper()
    watchdog.allow_ending_process()


@signals.worker_ready.connect
def _serve_metrics(**_: object) -> None:
    metrics.serve(settings().worker_metrics_port, settings().worker_metrics_host)


@signals.worker_process_shutdown.connect
def _flush_publisher(**_: object) -> None:
    publishing.flush(FLUSH_SECONDS)


@signals.worker_process_shutdown.connect
def _forget_metrics(pid: int | None = None, **_: object) -> None:
    metrics.forget_process(pid)
