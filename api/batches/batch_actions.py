"""Cancels or retries all jobs of a batch, by the same rules as single jobs. Functions never commit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import exists, or_, select, update

from shared.lifecycle import completion, jobs
from shared.models import Job, Segment
from shared.states import UNFINISHED, SegmentState, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def new_job_ids(count: int) -> list[uuid.UUID]:
    """Return random ids in ascending order, for jobs that are inserted together.

    Dispatch publishes jobs of equal priority by their ids, and a batch is listed by them: both keep the request's order.
    """
    return [uuid.UUID(int=value) for value in sorted(uuid.uuid4().int for _ in range(count))]


def cancel(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID) -> int:
    """Cancel every unfinished job, and return their number. Jobs without a worker end at once."""
    # All rows are locked first: a job that ends meanwhile must not be overwritten as canceling.
    ids = _lock_job_ids(session, account_id, batch_id, *UNFINISHED)
    is_rendering = exists().where(Segment.job_id == Job.id, Segment.state == SegmentState.RUNNING)
    has_worker = or_(Job.leased_until.is_not(None), is_rendering)
    next_version = {"version": Job.version + 1}
    stopping = {"state": State.CANCELING, **next_version}
    session.execute(update(Job).where(Job.id.in_(ids), has_worker).values(stopping))
    jobs.end_all(session, (Job.id.in_(ids), Job.state != State.CANCELING), State.CANCELED)
    return len(ids)


def retry(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *, attempts: int) -> int:
    """Queue every failed job again, and return their number."""
    failed = _lock_job_ids(session, account_id, batch_id, State.FAILED)
    if failed:
        completion.uncount_in_batch(session, batch_id, State.FAILED, len(failed))
        session.execute(update(Job).where(Job.id.in_(failed)).values(jobs.requeued_values(attempts)))
    return len(failed)


def _lock_job_ids(
    session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *states: State
) -> list[uuid.UUID]:
    """Lock the jobs in the order of their ids, so that two callers cannot deadlock; return the ids."""
    query = (
        select(Job.id)
        .where(Job.account_id == account_id, Job.batch_id == batch_id, Job.state.in_(states))
        .order_by(Job.id)
        .with_for_update()
    )
    return list(session.scalars(query))
