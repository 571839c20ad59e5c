"""What is done to all jobs of a batch at once, by the rules that hold for each of them. Functions never commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from shared import jobs
from shared.models import Job
from shared.states import UNFINISHED, State

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.orm import Session


def cancel(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID) -> int:
    """Ask for the end of every unfinished job, and return how many they were."""
    open_ones = _ids(session, account_id, batch_id, *UNFINISHED)
    return sum(jobs.cancel(session, account_id, job_id) is not None for job_id, _ in open_ones)


def retry(
    session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *, attempts: int
) -> list[tuple[uuid.UUID, str]]:
    """Queue every failed job again, and return the id and kind of those that were."""
    failed = _ids(session, account_id, batch_id, State.FAILED)
    return [
        (job_id, kind)
        for job_id, kind in failed
        if jobs.retry(session, account_id, job_id, attempts=attempts)
    ]


def _ids(
    session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *states: State
) -> list[tuple[uuid.UUID, str]]:
    """Return the jobs in the order in which everyone locks them, so that no two wait for each other."""
    query = (
        select(Job.id, Job.kind)
        .where(Job.account_id == account_id, Job.batch_id == batch_id, Job.state.in_(states))
        .order_by(Job.id)
    )
    return [(job_id, kind) for job_id, kind in session.execute(query)]
