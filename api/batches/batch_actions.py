"""What is done to all jobs of a batch at once, by the rules that hold for each of them. Functions never commit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import exists, or_, select, update

from shared.lifecycle import completion, jobs
from shared.models import Job, Segment
from shared.states import UNFINISHED, SegmentState, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def new_job_ids(number: int) -> list[uuid.UUID]:
    """Return ids that go up, for jobs that are written down together: their order is the one in which they came.

    Dispatch takes jobs of one turn by their ids, and a batch is listed by them. Each is as random as any other's.
    """
    return [uuid.UUID(int=each) for each in sorted(uuid.uuid4().int for _ in range(number))]


def cancel(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID) -> int:
    """Ask for the end of every unfinished job, and return how many they were. What nobody works on ends at once."""
    ids = _lock_job_ids(session, account_id, batch_id, *UNFINISHED)
    rendered = exists().where(Segment.job_id == Job.id, Segment.state == SegmentState.RUNNING)
    worked_on = or_(Job.leased_until.is_not(None), rendered)
    changed = {"version": Job.version + 1}
    stopping = {"state": State.CANCELING, **changed}
    session.execute(update(Job).where(Job.id.in_(ids), worked_on).values(stopping))
    jobs.end_all(session, (Job.id.in_(ids), Job.state != State.CANCELING), State.CANCELED)
    return len(ids)


def retry(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *, attempts: int) -> int:
    """Queue every failed job again, and return how many they were."""
    failed = _lock_job_ids(session, account_id, batch_id, State.FAILED)
    if failed:
        completion.uncount_in_batch(session, batch_id, State.FAILED, len(failed))
        session.execute(update(Job).where(Job.id.in_(failed)).values(jobs.requeued_values(attempts)))
    return len(failed)


def _lock_job_ids(
    session: Session, account_id: uuid.UUID, batch_id: uuid.UUID, *states: State
) -> list[uuid.UUID]:
    """Lock the jobs, in an order in which no two who do so wait for each other, and return their ids."""
    query = (
        select(Job.id)
        .where(Job.account_id == account_id, Job.batch_id == batch_id, Job.state.in_(states))
        .order_by(Job.id)
        .with_for_update()
    )
    return list(session.scalars(query))
