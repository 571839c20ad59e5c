"""The worker's side of the Celery app: it knows the tasks, shares its memory, forgets the parent's connections after a fork."""

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

FLUSH_SECONDS = 2.0  # past them the sweeper publishes what a process that ends has not

# A pool process that ends waits until its parent has seen the end of all its tasks, which a parent that ends may never do:
# for half a minute by default, while whoever told it to end waits. No result is lost by it, since none is sent.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20  # tries, a tenth of a second each


@signals.worker_init.connect
def _prepare_parent(**_: object) -> None:
    draining.allocate()
    # A collector that looks at what was imported writes to it, and each pool process would have a copy of its own then.
    gc.collect()
    gc.freeze()


@signals.worker_shutting_down.connect
def _start_draining(**_: object) -> None:
    draining.start()


@signals.task_failure.connect
def _record_crash(task_id: str, exception: BaseException, **_: object) -> None:
    """Count the death of a pool process against its job: the parent is told of it here, and of nothing else."""
    if not isinstance(exception, WorkerLostError) or draining.is_active():
        return
    if f"exitcode {watchdog.ABANDONED}" in str(exception):  # it settled its work before
        return
    try:
        with db.transaction() as session:
            worker_crashes.record_crash(session, task_id)
    except Unavailable:  # then its lease runs out
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
