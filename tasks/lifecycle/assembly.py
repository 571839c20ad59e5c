"""The state changes of a video's assembly, once all its segments are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from shared.lifecycle import jobs
from shared.lifecycle.publication import NOT_PUBLISHED
from shared.models import Artifact, Job, Segment
from shared.states import SegmentState, Stage, State

if TYPE_CHECKING:
    import uuid
    from datetime import timedelta

    from sqlalchemy.orm import Session


def claim(session: Session, job_id: uuid.UUID, *, lease: timedelta, worker: str) -> Job | None:
    """Claim a rendered job for its assembly, under the attempt that planned it; None when it cannot be claimed."""
    return session.scalar(
        update(Job)
        .where(
            Job.id == job_id,
            Job.state == State.RUNNING,
            Job.stage == Stage.ASSEMBLING,
            Job.leased_until.is_(None),
        )
        .values(leased_until=func.now() + lease, worker=worker)
        .returning(Job)
    )


def begin(session: Session, job_id: uuid.UUID) -> bool:
    """Move the job to assembly if its segments are all done; return whether this call moved it. The caller locks its row."""
    unfinished = (
        select(Segment.id).where(Segment.job_id == job_id, Segment.state != SegmentState.DONE).exists()
    )
    moved = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.state == State.RUNNING, Job.stage == Stage.RENDERING, ~unfinished)
        .values(
            stage=Stage.ASSEMBLING,
            leased_until=None,
            **NOT_PUBLISHED,
            run_after=func.now(),
            progress=func.greatest(Job.progress, jobs.ASSEMBLING_PROGRESS),
            version=Job.version + 1,
        )
        .returning(Job.id)
    )
    return moved is not None


def record_assembly_key(session: Session, job: Job, key: str) -> None:
    """Store the hash of everything that decides the job's artifacts."""
    session.execute(
        update(Job)
        .where(Job.id == job.id, Job.attempt == job.attempt, Job.state == State.RUNNING)
        .values(assembly_key=key)
    )


def find_equal_artifacts(session: Session, account_id: uuid.UUID, key: str) -> list[Artifact]:
    """Return the artifacts of the account's latest succeeded job with the same assembly key."""
    latest = (
        select(Job.id)
        .where(Job.account_id == account_id, Job.assembly_key == key, Job.state == State.SUCCEEDED)
        .order_by(Job.finished_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return list(
        session.scalars(select(Artifact).where(Artifact.job_id == latest).order_by(Artifact.position))
    )
