"""Queries for the progress of jobs, scenes and batches, which run again and again while clients wait. Read only.

Callers check that the account owns the jobs; `batch_progress` checks it itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, bindparam, case, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.lifecycle.listing import WITHOUT_DOCUMENTS
from shared.models import Batch, Job, Segment
from shared.states import SegmentState, State

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

# `finished_at` is the transaction's start; the row becomes visible at commit, up to so many seconds later.
COMMIT_LAG_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SceneProgress:
    """The progress of a scene, over all segments that show it."""

    id: str
    done: bool
    running: bool
    cached: bool
    progress: float


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """The progress of a batch. A deleted task still counts by the status that it ended with."""

    id: uuid.UUID
    finished: bool
    created_at: datetime
    finished_at: datetime | None
    progress: float
    counts: dict[State, int]


def job_versions(session: Session, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the version of each job, which every change increments."""
    rows = session.execute(select(Job.id, Job.version).where(Job.id.in_(list(job_ids))))
    return {row.id: row.version for row in rows}


def load_jobs(session: Session, ids: Sequence[uuid.UUID]) -> list[Job]:
    """Return jobs with the columns that responses show, in this order, without deleted ones."""
    jobs = {
        job.id: job for job in session.scalars(select(Job).where(Job.id.in_(ids)).options(*WITHOUT_DOCUMENTS))
    }
    return [jobs[job_id] for job_id in ids if job_id in jobs]


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A published or running job; or one that has just ended, with `ended_at` in Unix seconds."""

    account_id: uuid.UUID
    id: uuid.UUID
    version: int
    ended_at: float | None


# Its WHERE repeats the partial indexes' conditions word for word, or Postgres would scan the table.
_ACTIVE = text("""
SELECT account_id, id, version, NULL AS ended FROM jobs
 WHERE account_id IN :ids
   AND (state IN ('running', 'canceling') OR (state = 'queued' AND published_at IS NOT NULL))
 UNION ALL
(SELECT account_id, id, version, extract(epoch FROM finished_at) FROM jobs
  WHERE account_id IN :ids AND finished_at > now() - make_interval(secs => :late)
  ORDER BY finished_at LIMIT :most)
""").bindparams(bindparam("ids", expanding=True))


def find_active(
    session: Session, account_ids: Sequence[uuid.UUID], *, most: int = 50_000
) -> tuple[float, list[ActiveJob]]:
    """Return the current time and all active jobs, with up to `most` that ended within COMMIT_LAG_SECONDS."""
    now = session.scalars(select(func.extract("epoch", func.now()))).one()
    rows = session.execute(_ACTIVE, {"ids": list(account_ids), "late": COMMIT_LAG_SECONDS, "most": most})
    active = [
        ActiveJob(row.account_id, row.id, row.version, None if row.ended is None else float(row.ended))
        for row in rows
    ]
    return float(now), active


_ENDED = text("""
SELECT id, finished_at FROM jobs
 WHERE account_id = :account_id AND finished_at > now() - interval '1 hour' AND (finished_at, id) > (:at, :id)
 ORDER BY finished_at, id LIMIT :most
""")
EndedJob = tuple["datetime", "uuid.UUID"]


def find_ended(session: Session, account_id: uuid.UUID, after: EndedJob, *, most: int) -> list[EndedJob]:
    """Return the jobs that ended after this one, oldest first, within the last hour."""
    parameters = {"account_id": account_id, "at": after[0], "id": after[1], "most": most}
    return [(row.finished_at, row.id) for row in session.execute(_ENDED, parameters)]


def scene_progress(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[SceneProgress]]:
    """Return the scenes of planned jobs, in the order of the video."""
    segments = (
        select(Segment, func.unnest(Segment.scene_ids).label("scene"))
        .where(Segment.job_id.in_(job_ids))
        .subquery()
    )
    done = segments.c.state == SegmentState.DONE
    rows = session.execute(
        select(
            segments.c.job_id,
            segments.c.scene,
            func.bool_and(done),
            func.bool_or(segments.c.state == SegmentState.RUNNING),
            func.bool_and(segments.c.cached),
            func.sum(case((done, segments.c.frames), else_=segments.c.frames_done))
            / cast(func.greatest(func.sum(segments.c.frames), 1), Float),
        )
        .group_by(segments.c.job_id, segments.c.scene)
        .order_by(segments.c.job_id, func.min(segments.c.index), func.max(segments.c.index))
    )
    by_job: dict[uuid.UUID, list[SceneProgress]] = {}
    for job_id, *facts in rows:
        by_job.setdefault(job_id, []).append(SceneProgress(*facts))
    return by_job


def scene_ids(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Return the scene ids of jobs by their scripts: all that is known before they are planned."""
    ids = func.jsonb_path_query_array(Job.spec, "$.script.scenes[*].id", type_=JSONB)
    rows = session.execute(select(Job.id, ids).where(Job.id.in_(job_ids)))
    return {job_id: list(names) for job_id, names in rows}


# Counts only running jobs: counting all jobs of a large batch on every poll would take seconds.
_BATCH = text("""
SELECT b.id, b.total, b.succeeded, b.failed, b.canceled, b.created_at, b.finished_at,
       coalesce(active.running, 0) AS running, coalesce(active.canceling, 0) AS canceling,
       coalesce(active.progress, 0) AS progress
  FROM batches b LEFT JOIN LATERAL (
       SELECT count(*) FILTER (WHERE state = 'running') AS running,
              count(*) FILTER (WHERE state = 'canceling') AS canceling, sum(progress) AS progress
         FROM jobs WHERE batch_id = b.id AND state IN ('running', 'canceling')
  ) active ON b.finished_at IS NULL
 WHERE b.id IN :ids
""").bindparams(bindparam("ids", expanding=True))


def batch_progress(session: Session, account_id: uuid.UUID, batch_id: uuid.UUID) -> BatchProgress | None:
    """Return the progress of the account's batch, or None."""
    own_batch = select(Batch.id).where(Batch.account_id == account_id, Batch.id == batch_id)
    return batches_progress(session, list(session.scalars(own_batch))).get(batch_id)


def batches_progress(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, BatchProgress]:
    """Return the progress of batches, from their counters and running jobs alone."""
    if not ids:
        return {}
    return {row.id: _batch_progress(row) for row in session.execute(_BATCH, {"ids": list(ids)})}


def _batch_progress(row: Any) -> BatchProgress:
    ended = row.succeeded + row.failed + row.canceled
    counts = {
        State.QUEUED: max(0, row.total - ended - row.running - row.canceling),
        State.RUNNING: row.running,
        State.CANCELING: row.canceling,
        State.SUCCEEDED: row.succeeded,
        State.FAILED: row.failed,
        State.CANCELED: row.canceled,
    }
    return BatchProgress(
        id=row.id,
        finished=row.finished_at is not None,
        created_at=row.created_at,
        finished_at=row.finished_at,
        progress=min(1.0, (ended + row.progress) / row.total) if row.total else 1.0,
        counts=counts,
    )
