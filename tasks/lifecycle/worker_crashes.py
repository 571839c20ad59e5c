"""What is known of a pool process that died at its work: whose work it was, and that its lease need not be waited for.

A lease that runs out may have many reasons, a stopped machine or Postgres away, and costs an attempt. That a process died over
a job was seen by the worker itself, and happens to one that takes too much memory: twice is enough.
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
MAX_CRASHES = 2  # deaths of processes; a job that caused so many is given up


def record_crash(session: Session, message_id: str) -> bool:
    """Count a death against the job whose message this was, and end the lease; False where nothing was held by it.

    The fencing token is not known here. Should another worker hold the work by now, its attempt is lost, and nothing else.
    """
    try:
        held = uuid.UUID(message_id.partition(".")[0])
    except ValueError:  # of beat: it has no job
        return False
    job_id = session.scalar(select(Segment.job_id).where(Segment.id == held))
    # The job's row first, as everywhere.
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
