"""The mixing task: mixes a planned video's sound while its segments are rendered.

Nothing waits for it: assembly mixes the sound itself if none is stored.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared import metrics
from shared.db import transaction
from shared.logs import bind
from shared.models import Job
from shared.states import State
from tasks.attempt import run_attempt
from tasks.video.output.stored_mix import find_mix, make_mix
from tasks.video.plan.video_plan import load_plan

if TYPE_CHECKING:
    from shared.errors import ServiceError, Unavailable
    from tasks.attempt import Attempt


class _MixLease:
    """The sound of a running job. Nothing waits for it, so a failure to mix does not change the job."""

    task = "mix"

    def __init__(self, job: Job) -> None:
        self._job = job

    def renew(self, _: Attempt) -> bool:
        with transaction() as session:
            return session.scalar(select(Job.state).where(Job.id == self._job.id)) == State.RUNNING

    def release(self) -> str:
        return "stopped"

    def retry_later(self, _: Unavailable) -> str:
        return "unavailable"

    def fail(self, _: ServiceError) -> str:
        return "failed"


def perform(job_id: str) -> None:
    """Mix the sound of a planned, running job, unless it is stored already."""
    with transaction() as session:
        job = session.scalar(select(Job).where(Job.id == uuid.UUID(job_id), Job.state == State.RUNNING))
    if job is None or job.plan is None:
        return
    with bind(task_id=job_id, attempt=job.attempt, request_id=job.request_id):
        outcome = run_attempt(job, _MixLease(job), _mix)
        metrics.attempts.labels(task="mix", outcome=outcome).inc()


def _mix(attempt: Attempt) -> str:
    job = attempt.job
    plan = load_plan(job)
    if find_mix(job.account_id, plan) is not None:
        return "stored"
    make_mix(job.account_id, plan, attempt.workdir, stop=attempt.should_stop)
    return "mixed"
