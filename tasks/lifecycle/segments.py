"""The rules of a segment's life: who renders which key, and what follows when one is done.

Functions take a session and never commit. The job's row is locked before a segment's, everywhere.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, and_, case, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased, load_only

from shared.lifecycle import jobs
from shared.lifecycle.publication import NOT_PUBLISHED, clear_mark
from shared.models import Job, Segment, StoredSegment
from shared.states import SegmentState, State
from tasks.lifecycle import assembly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment as planning wants it."""

    key: str
    frames: int
    scene_ids: tuple[str, ...]
    spec: dict[str, Any]


def replace_segments(session: Session, job: Job, planned: Sequence[PlannedSegment]) -> bool:
    """Replace the job's segments by these; stored ones are done already. True when all of them are."""
    session.execute(delete(Segment).where(Segment.job_id == job.id))
    stored = _mark_used(session, job.account_id, [segment.key for segment in planned])
    rows: list[dict[str, Any]] = [
        {
            "id": uuid.uuid4(),
            "account_id": job.account_id,
            "job_id": job.id,
            "index": index,
            "key": segment.key,
            "frames": segment.frames,
            "scene_ids": list(segment.scene_ids),
            "spec": segment.spec,
            "state": SegmentState.DONE if segment.key in stored else SegmentState.QUEUED,
            "cached": segment.key in stored,
            "frames_done": segment.frames if segment.key in stored else 0,
            "warnings": stored.get(segment.key, []),
        }
        for index, segment in enumerate(planned)
    ]
    session.execute(insert(Segment), rows)
    return all(segment.key in stored for segment in planned)


def _mark_used(session: Session, account_id: uuid.UUID, keys: Sequence[str]) -> dict[str, list[str]]:
    """Mark stored segments as used now, and return them with their warnings."""
    rows = session.execute(
        update(StoredSegment)
        .where(StoredSegment.account_id == account_id, StoredSegment.key.in_(keys))
        .values(used_at=func.now())
        .returning(StoredSegment.key, StoredSegment.warnings)
    )
    return {key: warnings for key, warnings in rows}  # noqa: C416 (dict() needs pairs of a known type)


def claim(session: Session, segment_id: uuid.UUID, *, lease: timedelta) -> Segment | None:
    """Take a queued segment of a running job whose key nobody renders, or return None.

    IntegrityError means that another worker took the same key at the very same moment: the index decides, and what it
    decides stands in Postgres' log as an error.
    """
    running = select(Job.id).where(Job.id == Segment.job_id, Job.state == State.RUNNING).exists()
    other = aliased(Segment)
    rendered = (
        select(other.id)
        .where(
            other.account_id == Segment.account_id,
            other.key == Segment.key,
            other.state == SegmentState.RUNNING,
        )
        .exists()
    )
    return session.scalar(
        update(Segment)
        .where(
            Segment.id == segment_id,
            Segment.state == SegmentState.QUEUED,
            Segment.run_after <= func.now(),
            running,
            ~rendered,
        )
        .values(
            state=SegmentState.RUNNING,
            attempt=Segment.attempt + 1,
            charged=Segment.charged + 1,
            leased_until=func.now() + lease,
        )
        .returning(Segment)
    )


def held_by_attempt(segment: Segment) -> tuple[ColumnElement[bool], ...]:
    """Return what must be so for a write of this attempt to change anything."""
    return (
        Segment.id == segment.id,
        Segment.attempt == segment.attempt,
        Segment.state == SegmentState.RUNNING,
    )


def heartbeat(session: Session, segment: Segment, *, lease: timedelta, frames: int) -> bool:
    """Extend the lease and write progress down; False when the work is to be dropped (lost, or the job has ended)."""
    noted = func.greatest(Segment.frames_done, frames)  # below, in this same transaction
    known = case((and_(*held_by_attempt(segment)), noted), else_=Segment.frames_done)
    done = (
        select(func.sum(known) / cast(func.sum(Segment.frames), Float))
        .where(Segment.job_id == segment.job_id)
        .scalar_subquery()
    )
    span = jobs.ASSEMBLING_PROGRESS - jobs.RENDERING_PROGRESS
    session.execute(
        update(Job)
        .where(Job.id == segment.job_id, Job.state == State.RUNNING)
        .values(
            progress=func.greatest(Job.progress, jobs.RENDERING_PROGRESS + literal(span) * done),
            version=Job.version + 1,
        )
    )
    running = select(Job.id).where(Job.id == Segment.job_id, Job.state == State.RUNNING).exists()
    ours = session.scalar(
        update(Segment)
        .where(*held_by_attempt(segment), running)
        .values(leased_until=func.now() + lease, frames_done=noted)
        .returning(Segment.id)
    )
    return ours is not None


def find_job_of(session: Session, segment: Segment) -> tuple[Job, bool]:
    """Return the claimed segment's job without what it is made of, and whether the segment's key is stored by now."""
    stored = (
        select(StoredSegment.key)
        .where(StoredSegment.account_id == segment.account_id, StoredSegment.key == segment.key)
        .exists()
    )
    found = session.execute(
        select(Job, stored)
        .where(Job.id == segment.job_id)
        .options(load_only(Job.account_id, Job.kind, Job.attempt, Job.request_id, raiseload=True))
    )
    job, is_stored = found.one()
    return job, is_stored


def finish(
    session: Session,
    segment: Segment,
    *,
    seconds: float = 0.0,
    stored: dict[str, Any] | None = None,
) -> bool | None:
    """Write down that this attempt's segment is done, `stored` under its key (None: it was there already).

    Returns None when the attempt holds nothing any more, else whether this was the job's last segment.
    """
    session.execute(select(Job.id).where(Job.id == segment.job_id).with_for_update())
    ours = session.scalar(
        update(Segment)
        .where(*held_by_attempt(segment))
        .values(
            state=SegmentState.DONE,
            cached=stored is None,
            frames_done=Segment.frames,
            leased_until=None,
            render_seconds=seconds,
            warnings=(stored or {}).get("warnings", []),
        )
        .returning(Segment.id)
    )
    if ours is None:
        return None
    if stored is None:
        _mark_used(session, segment.account_id, [segment.key])
    else:
        row = {"account_id": segment.account_id, "key": segment.key, "frames": segment.frames, **stored}
        session.execute(
            upsert(StoredSegment)
            .values(row)
            .on_conflict_do_update(
                index_elements=["account_id", "key"], set_={**stored, "used_at": func.now()}
            )
        )
    return assembly.begin(session, segment.job_id)


def waiting_jobs(session: Session, account_id: uuid.UUID, key: str) -> list[uuid.UUID]:
    """Return the jobs that wait for this key, whose segment the same transaction has just finished.

    Whoever claims one of them from then on waits for that transaction's end, and finds the key stored.
    """
    return list(
        session.scalars(
            select(Segment.job_id)
            .where(Segment.account_id == account_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
            .distinct()
        )
    )


def complete_waiting(session: Session, job_id: uuid.UUID, key: str) -> bool:
    """Mark a job's queued segments of a stored key as done; True when that was the last one."""
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    session.execute(
        update(Segment)
        .where(Segment.job_id == job_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
        .values(state=SegmentState.DONE, cached=True, frames_done=Segment.frames)
    )
    return assembly.begin(session, job_id)


def complete_stored(session: Session, bite: int) -> int:
    """Give the jobs that wait for a stored key what they wait for: who stored it died before it could. Return how many.

    Only what was published: the message of such a segment was taken while another worker rendered its key.
    """
    stored = select(StoredSegment.key).where(
        StoredSegment.account_id == Segment.account_id, StoredSegment.key == Segment.key
    )
    found = session.execute(
        select(Segment.job_id, Segment.key)
        .where(Segment.state == SegmentState.QUEUED, Segment.published_at.is_not(None), stored.exists())
        .order_by(Segment.job_id)
        .limit(bite)
        .with_for_update(of=Segment, skip_locked=True)
    ).all()
    among = Job.id.in_({job_id for job_id, _ in found})
    # Neither row is waited for, so that their order matters to nobody.
    free = set(session.scalars(select(Job.id).where(among).with_for_update(skip_locked=True)))
    waiting = {(job_id, key) for job_id, key in found if job_id in free}
    for job_id, key in sorted(waiting):
        complete_waiting(session, job_id, key)
    return len(waiting)


def put_back(session: Session, segment: Segment, *, delay: timedelta, max_attempts: int) -> bool | None:
    """Queue the segment again; None when it is not ours any more, False when it has no attempt left."""
    if _requeue(session, segment, delay=delay) is None:
        return None
    return segment.charged < max_attempts


def drop(session: Session, segment: Segment) -> None:
    """Give the segment up uncharged, if it is still ours: it was stopped, and is not to blame for it."""
    _requeue(session, segment, delay=timedelta(0), charge=False)


def _requeue(
    session: Session, segment: Segment, *, delay: timedelta, charge: bool = True
) -> uuid.UUID | None:
    session.execute(select(Job.id).where(Job.id == segment.job_id).with_for_update())
    ours = session.scalar(
        update(Segment)
        .where(*held_by_attempt(segment))
        .values(
            state=SegmentState.QUEUED,
            charged=Segment.charged - (0 if charge else 1),
            leased_until=None,
            **NOT_PUBLISHED,
            run_after=func.now() + delay,
        )
        .returning(Segment.id)
    )
    if ours is not None:
        release_key(session, segment.account_id, segment.key)
    return ours


def release_key(session: Session, account_id: uuid.UUID, key: str) -> None:
    """Let those who waited for this key be published again, since nobody renders it any more.

    Whoever holds the row of one is about to claim it, and may be waiting for this transaction's end.
    """
    waiting = (
        select(Segment.id)
        .where(Segment.account_id == account_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
        .with_for_update(skip_locked=True)
    )
    clear_mark(session, Segment, waiting)
