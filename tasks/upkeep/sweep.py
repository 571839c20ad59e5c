"""Periodic repairs: takes back what dead workers held, publishes what was lost, throws away what expired."""

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
    """Do one round of all repairs that keep jobs moving. Rounds may overlap, on any number of workers.

    One that somebody's lock holds up, such as a stopped worker's on a batch, keeps no other from its work.
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
    """Do one round of throwing away: expired jobs, old records, files that nobody names."""
    config = settings()
    for repair, number in {**retention.purge(config), **orphan_files.remove_orphans(config)}.items():
        _count(repair, number)


def measure_queue() -> None:
    """Tell operators how much is unfinished. Counting takes as long as the queue is, so it is no part of a sweep."""
    with transaction() as session:
        counts = recovery.count_unfinished(session)
        longest = recovery.longest_wait(session)
    for state in UNFINISHED:
        metrics.unfinished.labels(state=state.value).set(counts.get(state.value, 0))
    metrics.waiting_seconds.set(longest)


def _retry_delay(attempt: int) -> timedelta:
    # A first loss is its worker's, and is made good at once; what is lost again may be to blame for it.
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
    # An account that somebody else is at is looked at again in the next round: a stopped worker must not hold up the others.
    published = sum(publishing.publish(account_id, wait=False) or 0 for account_id in accounts)
    _count("forgotten", again)
    _count("published", published)


_REPAIRS = (_reclaim_jobs, _reclaim_segments, _complete_stored_segments, _end_canceled, _publish_again)


def _count(repair: str, number: int) -> None:
    if number:
        metrics.swept.labels(repair=repair).inc(number)
        log.info("sweep_repaired", extra={"repair": repair, "number": number})
