"""Counts crashes of pool processes against the jobs that they worked on, and ends the lease at once.

A lease may run out for many reasons, such as a stopped machine or an unreachable Postgres, and costs an attempt. A crash
was seen by the worker itself and often comes from the job, for instance from its need of memory: two are enough.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from shared.models import Job, Segment
from shared.states import SegmentState, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LEASE_ENDED = func.now() - timedelta(seconds=1)
MAX_CRASHES = 2  # crashes after which a job fails


def record_crash(session: Session, message_id: str) -> bool:
    """Count a crash against the job of this message and end its lease; return False where no running job was found.

    The attempt is not known here: if another worker holds the work by now, that worker loses its attempt, and nothing
    else.
    """
    try:
        held = uuid.UUID(message_id.partition(".")[0])
    except ValueError:  # a periodic task, which has no job
        return False
    job_id = session.scalar(select(Segment.job_id).where(Segment.id == held))
    # Lock the job's row before the segment's, as everywhere: the other order could deadlock.
    died = update(Job).where(Job.id == (job_id or held), Job.state.in_((State.RUNNING, State.CANCELING)))
    if job_id is None:
        died = died.where(Job.leased_until.is_not(None)).values(leased_until=LEASE_ENDED)
    counted = session.scalar(died.values(deaths=Job.deaths + 1).returning(Job.id))
    if job_id is not None:
        session.execute(
            update(Segment)
            .where(Segment.id == held, Segment.state == SegmentState.RUNNING)
            .values(leased_until=LEASE_ENDED)
        )
    return counted is not None
