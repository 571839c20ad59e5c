"""The queries of the sweep: reclaim work of dead workers, publish lost messages again, end canceled jobs.

Each handles at most BATCH rows and skips rows that are locked, so that any number of sweeps may run at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select, update

from shared.errors import WorkerLost
from shared.lifecycle import cancellation, jobs, submissions
from shared.lifecycle.publication import NOT_PUBLISHED, clear_mark
from shared.lifecycle.uploads import UploadState
from shared.models import (
    Job,
    Segment,
    Upload,
)
from shared.states import SegmentState, Stage, State
from tasks.lifecycle import segments, worker_crashes

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute, Session


BATCH = 500
# How far ahead of its queue a reclaimed job is put: before an interactive job that has waited for less than an hour.
RECLAIMED_HEAD_START = 2 * submissions.HEAD_START["interactive"]


def reclaim_jobs(session: Session, delay_of: Callable[[int], timedelta]) -> tuple[list[uuid.UUID], list[Job]]:
    """Queue the jobs of dead workers again; return their ids, and the jobs that had no attempt left and failed."""
    dead = list(
        session.scalars(
            select(Job)
            .where(Job.state == State.RUNNING, Job.leased_until < func.now())
            .order_by(Job.leased_until)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
    )
    spent = [
        job for job in dead if job.attempt >= job.max_attempts or job.deaths >= worker_crashes.MAX_CRASHES
    ]
    for job in dead:
        if job in spent:
            jobs.fail(session, job.id, job.attempt, _worker_lost_error(job))
        else:
            jobs.requeue(session, job.id, job.attempt, delay=delay_of(job.attempt))
    taken_back = [job.id for job in dead if job not in spent]
    if taken_back:  # it was begun once: jobs that nobody has begun must not go before it
        session.execute(
            update(Job)
            .where(Job.id.in_(taken_back))
            .values(turn=func.least(Job.turn, func.now() + RECLAIMED_HEAD_START))
        )
    return taken_back, spent


def _worker_lost_error(job: Job, scene_ids: Sequence[str] = ()) -> WorkerLost:
    """Return the error of a job whose workers died, with the scenes that were being rendered."""
    scenes = f"scene{'s' if len(scene_ids) > 1 else ''} {', '.join(map(repr, scene_ids))}"
    if job.deaths >= worker_crashes.MAX_CRASHES:
        return WorkerLost(f"{job.deaths} workers died over {scenes if scene_ids else 'it'}.")
    at = f" Last, it rendered {scenes}." if scene_ids else ""
    return WorkerLost(f"Every attempt ended with the loss of its worker.{at}")


def end_canceled(session: Session) -> int:
    """End canceled jobs that no worker holds any longer; return how many."""
    waiting = session.scalars(
        select(Job.id)
        .where(Job.state == State.CANCELING, or_(Job.leased_until.is_(None), Job.leased_until < func.now()))
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    return sum(cancellation.finish(session, job_id) for job_id in waiting)


def reclaim_segments(
    session: Session, delay_of: Callable[[int], timedelta], *, max_attempts: int
) -> tuple[int, list[Job]]:
    """Queue the segments of dead workers again; return how many, and the jobs that failed because one had no attempt left."""
    dead = list(
        session.scalars(
            select(Segment)
            .where(Segment.state == SegmentState.RUNNING, Segment.leased_until < func.now())
            .order_by(Segment.job_id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
    )
    taken_back, failed = 0, []
    for segment in dead:
        # Elsewhere the job's row is locked first. The other order cannot deadlock here, since both locks skip and never wait.
        job = session.scalar(select(Job).where(Job.id == segment.job_id).with_for_update(skip_locked=True))
        if job is None:
            continue
        ours = session.scalar(
            update(Segment)
            .where(*segments.held_by_attempt(segment), Segment.leased_until < func.now())
            .values(
                state=SegmentState.QUEUED,
                leased_until=None,
                **NOT_PUBLISHED,
                run_after=func.now() + delay_of(segment.attempt),
            )
            .returning(Segment.id)
        )
        if ours is None:
            continue
        taken_back += 1
        segments.release_key(session, segment.account_id, segment.key)
        spent = segment.charged >= max_attempts or job.deaths >= worker_crashes.MAX_CRASHES
        if spent and jobs.fail(session, job.id, job.attempt, _worker_lost_error(job, segment.scene_ids)):
            failed.append(job)
    return taken_back, failed


def drop_segments(session: Session) -> int:
    """Take the queued segments of failed and canceled jobs out of the queue; the task's scenes stay as they were."""
    left = (
        select(Segment.id)
        .join(Job, Job.id == Segment.job_id)
        .where(Segment.state == SegmentState.QUEUED, Job.state.in_((State.FAILED, State.CANCELED)))
        .limit(BATCH)
        .with_for_update(of=Segment, skip_locked=True)
    )
    dropped = session.scalars(
        update(Segment)
        .where(Segment.id.in_(left))
        .values(state=SegmentState.DROPPED)
        .returning(Segment.id)
        .execution_options(synchronize_session=False)
    )
    return len(dropped.all())


def clear_stale_publications(session: Session, *, older_than: timedelta | None) -> int:
    """Clear `published_at` of unclaimed work published more than `older_than` ago (None: whenever), so that it is sent again."""

    def aged(column: InstrumentedAttribute[datetime | None]) -> ColumnElement[bool]:
        return column.is_not(None) if older_than is None else column < func.now() - older_than

    unclaimed = or_(
        Job.state == State.QUEUED,
        and_(Job.state == State.RUNNING, Job.stage == Stage.ASSEMBLING, Job.leased_until.is_(None)),
    )
    lost_jobs = select(Job.id).where(unclaimed, aged(Job.published_at))
    lost_segments = select(Segment.id).where(Segment.state == SegmentState.QUEUED, aged(Segment.published_at))
    return _clear_published_at(session, Job, lost_jobs) + _clear_published_at(session, Segment, lost_segments)


def _clear_published_at(session: Session, table: type[Job | Segment], lost: Select[uuid.UUID]) -> int:
    """Clear `published_at` of these rows, except locked ones: whoever claims a row has its message."""
    # Two statements: with many rows, one joined UPDATE makes Postgres scan the whole table.
    free = session.scalars(lost.with_for_update(skip_locked=True)).all()
    if free:
        clear_mark(session, table, free)
    return len(free)


def expire_uploads(session: Session) -> list[uuid.UUID]:
    """Expire the uploads that no bytes arrived for in time; return their ids."""
    late = select(Upload.id).where(Upload.state == UploadState.OPEN, Upload.expires_at < func.now())
    over = session.scalars(
        update(Upload)
        .where(Upload.id.in_(late.limit(BATCH).with_for_update(skip_locked=True)))
        .values(state=UploadState.EXPIRED)
        .returning(Upload.id)
    ).all()
    return list(over)


def count_unfinished(session: Session) -> dict[str, int]:
    """Return the number of unfinished jobs by state, from the partial indexes."""
    queued = select(func.count()).where(Job.state == State.QUEUED)
    begun = select(Job.state, func.count()).where(Job.state.in_((State.RUNNING, State.CANCELING)))
    counts = {str(state): count for state, count in session.execute(begun.group_by(Job.state))}
    return {State.QUEUED.value: session.scalars(queued).one(), **counts}


def longest_wait(session: Session) -> float:
    """Return the seconds since the longest-waiting queued job became due; 0 where none waits."""
    due = func.extract("epoch", func.now() - Job.run_after)
    longest = select(due).where(Job.state == State.QUEUED).order_by(Job.run_after).limit(1)
    return max(0.0, float(session.scalar(longest) or 0))
