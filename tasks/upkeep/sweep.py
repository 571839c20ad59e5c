"""The sweep: reclaims the work of dead workers, publishes lost messages again, and starts the deletion of what expired."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import metrics
from shared.db import transaction
from shared.dispatch import broker_generation, fairness, publishing
from shared.errors import Unavailable
from shared.settings import settings
from shared.states import UNFINISHED
from tasks.attempt import backoff
from tasks.lifecycle import recovery, segments
from tasks.upkeep import orphan_files, retention

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.models import Job

log = logging.getLogger(__name__)


def sweep() -> None:
    """Run every repair that keeps jobs moving once. Sweeps may overlap on any number of workers.

    A repair that a lock holds up (such as a stopped worker's on a batch) delays no other.
    """
    done = [_succeeds(repair) for repair in _REPAIRS]
    if all(done):
        metrics.last_sweep.set_to_current_time()


def _succeeds(repair: Callable[[], None]) -> bool:
    try:
        repair()
    except Unavailable:
        log.warning("repair_failed", extra={"repair": repair.__name__.strip("_")}, exc_info=True)
        return False
    return True


def purge() -> None:
    """Delete expired jobs, old records and orphaned files once."""
    config = settings()
    for repair, number in {**retention.purge(config), **orphan_files.remove_orphans(config)}.items():
        _count(repair, number)


def measure_queue() -> None:
    """Update the gauges of unfinished jobs. Counting takes longer the longer the queue is, so it is not part of the sweep."""
    with transaction() as session:
        counts = recovery.count_unfinished(session)
        longest = recovery.longest_wait(session)
    for state in UNFINISHED:
        metrics.unfinished.labels(state=state.value).set(counts.get(state.value, 0))
    metrics.waiting_seconds.set(longest)


def _retry_delay(attempt: int) -> timedelta:
    # The first loss is most likely the worker's fault and is repaired at once; work lost again may itself kill workers.
    return backoff(attempt - 1, settings()) if attempt > 1 else timedelta(0)


def _reclaim_jobs() -> None:
    with transaction() as session:
        taken_back, spent = recovery.reclaim_jobs(session, _retry_delay)
    _count("jobs_reclaimed", len(taken_back))
    _quarantine(spent)


def _reclaim_segments() -> None:
    with transaction() as session:
        taken_back, failed = recovery.reclaim_segments(
            session, _retry_delay, max_attempts=settings().max_attempts
        )
    _count("segments_reclaimed", taken_back)
    _quarantine(failed)


def _quarantine(lost: Sequence[Job]) -> None:
    for job in lost:
        metrics.jobs_settled.labels(kind=job.kind, outcome="failed").inc()
        log.error("job_quarantined", extra={"task_id": str(job.id), "attempt": job.attempt})
    _count("jobs_quarantined", len(lost))


def _complete_stored_segments() -> None:
    with transaction() as session:
        fulfilled = segments.complete_stored(session, recovery.BATCH)
    _count("segments_fulfilled", fulfilled)


def _end_canceled() -> None:
    with transaction() as session:
        canceled = recovery.end_canceled(session)
    _count("jobs_canceled", canceled)


def _publish_again() -> None:
    config = settings()
    lost = broker_generation.may_have_lost_messages()
    with transaction() as session:
        again = recovery.clear_stale_publications(
            session, older_than=None if lost else config.republish_after
        )
        accounts = fairness.waiting_accounts(session)
    if lost:
        log.warning("broker_messages_lost", extra={"forgotten": again})
        broker_generation.start_generation()
    # An account whose window is locked waits for the next round: a stopped process must not hold up the other accounts.
    published = sum(publishing.publish(account_id, wait=False) or 0 for account_id in accounts)
    _count("forgotten", again)
    _count("published", published)


_REPAIRS = (_reclaim_jobs, _reclaim_segments, _complete_stored_segments, _end_canceled, _publish_again)


def _count(repair: str, number: int) -> None:
    if number:
        metrics.swept.labels(repair=repair).inc(number)
        log.info("sweep_repaired", extra={"repair": repair, "number": number})
