"""How far jobs, their scenes and batches are: what is asked again and again while they run. Nothing is changed here.

Whether one may ask for a job is seen to before; a batch is asked for by its account.
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

# An end is dated when its transaction begins, and seen when it commits: so many seconds later at most.
COMMIT_LAG_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SceneProgress:
    """How far a scene is, over all segments that show it."""

    id: str
    done: bool
    running: bool
    cached: bool
    progress: float


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is. A task that was deleted since still counts as what it ended as."""

    id: uuid.UUID
    finished: bool
    created_at: datetime
    finished_at: datetime | None
    progress: float
    counts: dict[State, int]


def job_versions(session: Session, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the number of each job that goes up with each change of it."""
    rows = session.execute(select(Job.id, Job.version).where(Job.id.in_(list(job_ids))))
    return {row.id: row.version for row in rows}


def load_jobs(session: Session, ids: Sequence[uuid.UUID]) -> list[Job]:
    """Return jobs as they are shown, in this order, without those that are gone."""
    found = {
        job.id: job for job in session.scalars(select(Job).where(Job.id.in_(ids)).options(*WITHOUT_DOCUMENTS))
    }
    return [found[each] for each in ids if each in found]


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job at the workers, or one that ended a moment ago: then `ended` is when, in seconds."""

    account_id: uuid.UUID
    id: uuid.UUID
    version: int
    ended_at: float | None


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
    """Return this moment and each job at the workers or ended within the last `LATE` seconds; of those `most` at most."""
    now = session.scalars(select(func.extract("epoch", func.now()))).one()
    rows = session.execute(_ACTIVE, {"ids": list(account_ids), "late": COMMIT_LAG_SECONDS, "most": most})
    found = [
        ActiveJob(row.account_id, row.id, row.version, None if row.ended is None else float(row.ended))
        for row in rows
    ]
    return float(now), found


_ENDED = text("""
SELECT id, finished_at FROM jobs
 WHERE account_id = :account_id AND finished_at > now() - interval '1 hour' AND (finished_at, id) > (:at, :id)
 ORDER BY finished_at, id LIMIT :most
""")
EndedJob = tuple["datetime", "uuid.UUID"]


def find_ended(session: Session, account_id: uuid.UUID, after: EndedJob, *, most: int) -> list[EndedJob]:
    """Return what ended after another job did, the oldest first, as far back as an hour."""
    given = {"account_id": account_id, "at": after[0], "id": after[1], "most": most}
    return [(row.finished_at, row.id) for row in session.execute(_ENDED, given)]


def scene_progress(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[SceneProgress]]:
    """Return the scenes of jobs that are planned, in the order in which they are shown."""
    each = (
        select(Segment, func.unnest(Segment.scene_ids).label("scene"))
        .where(Segment.job_id.in_(job_ids))
        .subquery()
    )
    done = each.c.state == SegmentState.DONE
    rows = session.execute(
        select(
            each.c.job_id,
            each.c.scene,
            func.bool_and(done),
            func.bool_or(each.c.state == SegmentState.RUNNING),
            func.bool_and(each.c.cached),
            func.sum(case((done, each.c.frames), else_=each.c.frames_done))
            / cast(func.greatest(func.sum(each.c.frames), 1), Float),
        )
        .group_by(each.c.job_id, each.c.scene)
        .order_by(each.c.job_id, func.min(each.c.index), func.max(each.c.index))
    )
    found: dict[uuid.UUID, list[SceneProgress]] = {}
    for job_id, *facts in rows:
        found.setdefault(job_id, []).append(SceneProgress(*facts))
    return found


def scene_ids(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Return the scenes of jobs as they were asked for: what can be said before they are planned."""
    ids = func.jsonb_path_query_array(Job.spec, "$.script.scenes[*].id", type_=JSONB)
    rows = session.execute(select(Job.id, ids).where(Job.id.in_(job_ids)))
    return {job_id: list(names) for job_id, names in rows}


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
    """Return how far the account's batch is, or None."""
    mine = select(Batch.id).where(Batch.account_id == account_id, Batch.id == batch_id)
    return batches_progress(session, list(session.scalars(mine))).get(batch_id)


def batches_progress(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, BatchProgress]:
    """Return how far batches are: by their counts and the jobs under way, however many they are."""
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
