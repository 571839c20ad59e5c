"""The segment task: claims a segment, renders and stores it unless it is stored, and hands over after the last one."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from shared import metrics
from shared.db import transaction
from shared.dispatch import publishing
from shared.errors import (
    RenderFailed,
    RenderKilled,
    RenderStalled,
    RenderTimeout,
    ServiceError,
    Unavailable,
    WorkerLost,
)
from shared.lifecycle import cancellation, jobs
from shared.logs import bind
from shared.processes import ffmpeg
from shared.processes.ffmpeg import Stopped
from shared.settings import settings
from shared.storage.factory import storage
from tasks.attempt import NO_PROGRESS, backoff, run_attempt, settle_with_retries, shutdown_grace_is_over
from tasks.lifecycle import segments
from tasks.video.picture import segment_rendering

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from shared.models import Job, Segment
    from tasks.attempt import Attempt

log = logging.getLogger(__name__)


class _SegmentLease:
    """A claimed segment. Each change names the segment's attempt, so that a worker that lost its lease changes nothing."""

    task = "segment"

    def __init__(self, segment: Segment, job: Job) -> None:
        self.segment, self.job = segment, job
        self.frames = 0  # rendered so far

    def note(self, frames: int) -> None:
        """Record the number of rendered frames; the next heartbeat writes it to the database."""
        self.frames = frames

    def renew(self, _: Attempt) -> bool:
        with transaction() as session:
            return segments.heartbeat(
                session, self.segment, lease=settings().lease_duration, frames=self.frames
            )

    def release(self) -> str:
        """Drop the claim, uncharged; if a client canceled the job and this was the last segment at work, the job ends."""

        def settle(session: Session) -> bool:
            segments.drop(session, self.segment)
            return cancellation.finish(session, self.job.id)

        if settle_with_retries(settle):
            return "canceled"
        publishing.publish(self.job.account_id)
        return "handed_back" if shutdown_grace_is_over() else "lost"

    def retry_later(self, error: Unavailable) -> str:
        config, segment = settings(), self.segment
        delay = backoff(segment.attempt, config)
        left = settle_with_retries(
            lambda session: segments.put_back(session, segment, delay=delay, max_attempts=config.max_attempts)
        )
        return self.fail(error) if left is False else "retried"

    def fail(self, error: ServiceError) -> str:
        """Fail the whole job: without one of its segments there is no video."""
        error = _name_scenes(error, self.segment.scene_ids)

        def settle(session: Session) -> bool:
            failed = jobs.fail(session, self.job.id, self.job.attempt, error)
            segments.drop(session, self.segment)
            return failed

        if not settle_with_retries(settle):
            return self.release()
        metrics.jobs_settled.labels(kind=self.job.kind, outcome="failed").inc()
        log.info("job_settled", extra={"state": "failed"})
        return "worker_lost" if isinstance(error, WorkerLost) else "failed"


def perform(segment_id: str) -> None:
    """Render the segment if it can be claimed; a repeated, late or stale message changes nothing."""
    try:
        with transaction() as session:
            segment = segments.claim(session, uuid.UUID(segment_id), lease=settings().lease_duration)
            claimed = segments.find_job_of(session, segment) if segment else None
    except IntegrityError:
        # Another worker is rendering the same key, and marks this segment as done too. Rendering it here would be double work.
        log.info("segment_rendered_elsewhere", extra={"segment_id": segment_id})
        return
    if segment is None or claimed is None:
        log.info("segment_not_claimed", extra={"segment_id": segment_id})
        return
    job, stored = claimed
    with (
        publishing.publishing_successors(
            job.account_id
        ),  # the claim has freed a place in the account's window
        bind(
            task_id=str(job.id),
            attempt=job.attempt,
            request_id=job.request_id,
            segment=segment.index,
            segment_attempt=segment.attempt,
        ),
    ):
        outcome = _reuse_stored(segment, job) if stored else _render(_SegmentLease(segment, job))
        metrics.attempts.labels(task="segment", outcome=outcome).inc()


def _reuse_stored(segment: Segment, job: Job) -> str:
    settle_with_retries(lambda session: segments.finish(session, segment))
    publishing.publish(job.account_id)
    metrics.segments.labels(source="stored").inc()
    return "stored"


def _render(lease: _SegmentLease) -> str:
    def perform(attempt: Attempt) -> str:
        _render_and_store(lease, attempt)
        return "rendered"

    return run_attempt(lease.job, lease, perform)


def _render_and_store(lease: _SegmentLease, attempt: Attempt) -> None:
    config, segment = settings(), lease.segment
    began = time.monotonic()
    target = attempt.workdir / "segment.mp4"

    def locate(key: str) -> Path:
        with attempt.progress_deadline(config.render_timeout, NO_PROGRESS):  # it may have to be downloaded
            return storage().locate(key)

    allowed = config.drawing_deadline.total_seconds()
    with attempt.progress_deadline(
        config.drawing_deadline, f"It could not be drawn: no frame within {allowed:g} s."
    ):
        warnings = segment_rendering.render_segment(
            segment.spec,
            target,
            work=attempt.workdir,
            locate=locate,
            on_progress=lease.note,
            stop=attempt.should_stop,
            ffmpeg=config.ffmpeg,
            limits=ffmpeg.Limits(
                wall=config.render_timeout.total_seconds(),
                stall=config.render_stall_timeout.total_seconds(),
                file=config.work_max_bytes,
            ),
        )
    seconds = time.monotonic() - began
    stored: dict[str, Any] = {
        # A unique name: a file that another worker reads under this key must never change.
        "storage_key": f"segments/{segment.account_id}/{segment.key[:2]}/{segment.key}-{uuid.uuid4().hex}.mp4",
        "bytes": target.stat().st_size,
        "warnings": list(warnings),
    }
    # The file first: a row must never name a file that does not exist.
    storage().put(target, stored["storage_key"])
    last, waiting = settle_with_retries(lambda session: _mark_done(session, segment, seconds, stored))
    if last is None:  # the lease is lost, and no row names the file
        storage().delete(stored["storage_key"])
        raise Stopped
    metrics.segments.labels(source="rendered").inc()
    metrics.rendered_frames.inc(segment.frames)
    log.info("segment_rendered", extra={"frames": segment.frames, "seconds": round(seconds, 3)})
    shared = _complete_waiting_jobs(waiting, segment.key)
    if last or shared:
        publishing.publish(segment.account_id)


def _mark_done(
    session: Session, segment: Segment, seconds: float, stored: dict[str, Any]
) -> tuple[bool | None, list[uuid.UUID]]:
    """Mark the segment as done; return whether it is the job's last one (None: lease lost) and the jobs waiting for its key."""
    last = segments.finish(session, segment, seconds=seconds, stored=stored)
    waiting = [] if last is None else segments.waiting_jobs(session, segment.account_id, segment.key)
    return last, waiting


def _complete_waiting_jobs(waiting: Sequence[uuid.UUID], key: str) -> bool:
    """Complete the segment in the jobs that waited for its key; return whether one of them can be assembled now."""
    complete = False
    for job_id in waiting:
        with transaction() as session:
            complete |= segments.complete_waiting(session, job_id, key)
        metrics.segments.labels(source="shared").inc()
    return complete


def _name_scenes(error: ServiceError, scene_ids: Sequence[str]) -> ServiceError:
    """Return the error with the segment's scenes named in its detail."""
    if not isinstance(error, RenderFailed | RenderTimeout | RenderStalled | RenderKilled):
        return error
    names = ", ".join(map(repr, scene_ids))
    return type(error)(f"Scene{'s' if len(scene_ids) > 1 else ''} {names}: {error.detail}", *error.args[1:])
