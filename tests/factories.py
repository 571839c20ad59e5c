"""Factories of rows that are valid by default; a test names only what it is about."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update

from shared import accounts
from shared.lifecycle import jobs
from shared.models import Job, Segment
from shared.states import Stage, State
from tasks.lifecycle import segments

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_numbers = itertools.count()


def account(session: Session) -> uuid.UUID:
    return accounts.ensure_account(session, f"account-{next(_numbers)}-{uuid.uuid4().hex[:6]}")


def job(session: Session, account_id: uuid.UUID | None = None, **columns: Any) -> Job:
    row = Job(
        id=uuid.uuid4(),
        account_id=account_id or account(session),
        **{"kind": "video", "spec": {"kind": "video"}, "meta": {}, "max_attempts": 3, **columns},
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def rendering_job(
    session: Session, keys: tuple[str, ...] = ("k1",), account_id: uuid.UUID | None = None
) -> Job:
    """A job that is planned, with one queued segment of 30 frames for each key."""
    row = job(session, account_id, state=State.RUNNING, stage=Stage.RENDERING, attempt=1)
    planned = [segments.PlannedSegment(key, 30, ("scene-1",), {}) for key in keys]
    segments.replace_segments(session, row, planned)
    return row


def segments_of(session: Session, row: Job) -> list[Segment]:
    return list(session.query(Segment).filter_by(job_id=row.id).order_by(Segment.index).populate_existing())


def claim(session: Session, job_id: uuid.UUID, *, lease: timedelta = timedelta(seconds=30)) -> Job | None:
    """Claim a job as a worker does that was told of it."""
    session.execute(
        update(Job).where(Job.id == job_id, Job.published_at.is_(None)).values(published_at=func.now())
    )
    return jobs.claim(session, job_id, Stage.GATHERING, lease=lease, worker="w")
