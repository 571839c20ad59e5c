"""The state changes of a segment: who may render which key, and what follows when it is done.

Functions take a session and never commit. Lock order everywhere: the job's row before the segment's.
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
    """A segment as planned: its cache key, its length, its scenes, and what to render."""

    key: str
    frames: int
    scene_ids: tuple[str, ...]
    spec: dict[str, Any]


def replace_segments(session: Session, job: Job, planned: Sequence[PlannedSegment]) -> bool:
    """Replace the job's segments; those in the store are done already. Return whether all of them are."""
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
    """Set `used_at` of stored segments, and return their warnings by key."""
    rows = session.execute(
        update(StoredSegment)
        .where(StoredSegment.account_id == account_id, StoredSegment.key.in_(keys))
        .values(used_at=func.now())
        .returning(StoredSegment.key, StoredSegment.warnings)
    )
    return {key: warnings for key, warnings in rows}  # noqa: C416 (dict() needs pairs of a known type)


def claim(session: Session, segment_id: uuid.UUID, *, lease: timedelta) -> Segment | None:
    """Claim a queued segment of a running job whose key no worker renders; None when it cannot be claimed.

    Raises IntegrityError when another worker claimed the same key at the same moment: a unique index decides, and
    Postgres logs that as an error.
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
    """Return the conditions under which a write of this attempt may change anything."""
    return (
        Segment.id == segment.id,
        Segment.attempt == segment.attempt,
        Segment.state == SegmentState.RUNNING,
    )


def heartbeat(session: Session, segment: Segment, *, lease: timedelta, frames: int) -> bool:
    """Extend the lease and write the progress; return False when the lease is lost or the job no longer runs."""
    noted = func.greatest(Segment.frames_done, frames)  # written by the second UPDATE of this transaction
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
    """Return the claimed segment's job without its documents, and whether the segment's key is stored by now."""
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
    """Mark this attempt's segment as done, with its stored file, or without one where the key was stored already.

    Return None when the attempt lost its lease, else whether this was the job's last unfinished segment.
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
    """Return the jobs that have a queued segment of this key, which the same transaction has just finished.

    A worker that claims such a segment now waits for this transaction, and then finds the key stored.
    """
    return list(
        session.scalars(
            select(Segment.job_id)
            .where(Segment.account_id == account_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
            .distinct()
        )
    )


def complete_waiting(session: Session, job_id: uuid.UUID, key: str) -> bool:
    """Mark a job's queued segments of a stored key as done; return whether that completed the job's segments."""
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    session.execute(
        update(Segment)
        .where(Segment.job_id == job_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
        .values(state=SegmentState.DONE, cached=True, frames_done=Segment.frames)
    )
    return assembly.begin(session, job_id)


def complete_stored(session: Session, bite: int) -> int:
    """Complete queued segments whose key is stored, in case the worker that stored it died before it could; return how many.

    Only published ones: their message was consumed while another worker rendered the key.
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
    # Both locks skip locked rows instead of waiting, so that the opposite lock order cannot deadlock.
    free = set(session.scalars(select(Job.id).where(among).with_for_update(skip_locked=True)))
    waiting = {(job_id, key) for job_id, key in found if job_id in free}
    for job_id, key in sorted(waiting):
        complete_waiting(session, job_id, key)
    return len(waiting)


def put_back(session: Session, segment: Segment, *, delay: timedelta, max_attempts: int) -> bool | None:
    """Queue the segment again; return None when the lease is lost, False when no attempt is left."""
    if _requeue(session, segment, delay=delay) is None:
        return None
    return segment.charged < max_attempts


def drop(session: Session, segment: Segment) -> None:
    """Queue the segment again without charging the attempt, if this worker still holds it: it was stopped, not failed."""
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
    """Let queued segments of this key be published again: no worker renders it any longer.

    Locked rows are skipped: their worker is about to claim them, and may be waiting for this transaction.
    """
    waiting = (
        select(Segment.id)
        .where(Segment.account_id == account_id, Segment.key == key, Segment.state == SegmentState.QUEUED)
        .with_for_update(skip_locked=True)
    )
    clear_mark(session, Segment, waiting)
