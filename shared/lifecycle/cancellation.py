"""Cancels jobs: at once where no worker has the job, otherwise when its workers have stopped.

The rules of `shared.lifecycle.jobs` apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, update

from shared.lifecycle import jobs
from shared.models import Job, Segment
from shared.states import UNFINISHED, SegmentState, State

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.orm import Session


def cancel(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> State | None:
    """Cancel an unfinished job and return its state, `canceled` or `canceling`; None if it has ended already."""
    job = session.scalar(
        select(Job)
        .where(Job.account_id == account_id, Job.id == job_id, Job.state.in_(UNFINISHED))
        .with_for_update()
    )
    if job is None:
        return None
    # A worker that is at it must let go first: ended under its feet, it would go on writing files.
    worked_on = job.leased_until is not None or _has_running_segments(session, job_id)
    if worked_on:
        session.execute(
            update(Job).where(Job.id == job_id).values(state=State.CANCELING, version=Job.version + 1)
        )
        return State.CANCELING
    jobs.end_all(session, (Job.id == job_id,), State.CANCELED)
    return State.CANCELED


def _has_running_segments(session: Session, job_id: uuid.UUID) -> bool:
    running = select(Segment.id).where(Segment.job_id == job_id, Segment.state == SegmentState.RUNNING)
    return session.scalar(running.limit(1)) is not None


def release(session: Session, job_id: uuid.UUID, attempt: int) -> bool:
    """Give up the lease of a canceled job and end it; False if it was not canceled, or the lease is not ours."""
    ours = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state == State.CANCELING)
        .values(leased_until=None)
        .returning(Job.id)
    )
    return ours is not None and finish(session, job_id)


def finish(session: Session, job_id: uuid.UUID) -> bool:
    """End a canceled job if no worker has it any more, and return whether it ended."""
    locked = session.scalar(
        select(Job.id)
        .where(
            Job.id == job_id,
            Job.state == State.CANCELING,
            # An expired lease counts as let go: its worker is dead.
            or_(Job.leased_until.is_(None), Job.leased_until < func.now()),
        )
        .with_for_update()
    )
    if locked is None or _has_running_segments(session, job_id):
        return False
    return jobs.end_all(session, (Job.id == job_id,), State.CANCELED) == 1
