"""The mixing task: mixes a planned video's sound while its segments are rendered.

Nothing waits for it: assembly mixes the sound itself where none is stored.
"""

from __future__ import annotations

import logging
import shutil
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.db import transaction
from shared.errors import ServiceError
from shared.logs import bind
from shared.models import Job
from shared.processes.ffmpeg import Stopped
from shared.settings import settings
from shared.states import State
from tasks.heartbeat import Heartbeat
from tasks.run import NO_PROGRESS
from tasks.video.output.stored_mix import find_mix, make_mix
from tasks.video.plan.video_plan import load_plan
from tasks.workdir import attempt_workdir, quota_error

if TYPE_CHECKING:
    from tasks.video.plan.video_plan import Plan

log = logging.getLogger(__name__)


def perform(job_id: str) -> None:
    """Mix the sound of a planned job that still runs, unless that sound is stored already."""
    with transaction() as session:
        job = session.scalar(select(Job).where(Job.id == uuid.UUID(job_id), Job.state == State.RUNNING))
    if job is None or job.plan is None:
        return
    with bind(task_id=job_id, attempt=job.attempt, request_id=job.request_id):
        try:
            _mix(job, load_plan(job))
        except Stopped:
            log.info("mix_stopped")
        except ServiceError as error:
            log.warning("mix_failed", extra={"reason": type(error).__name__})


def _mix(job: Job, plan: Plan) -> None:
    config = settings()
    with (
        attempt_workdir() as work,
        Heartbeat(
            lambda: _is_running(job),
            every=config.heartbeat_interval,
            lease=config.lease_duration,
            check=lambda: quota_error(work, config.work_max_bytes),
            abandon=lambda _: shutil.rmtree(work, ignore_errors=True),
        ) as heartbeat,
        heartbeat.progress_deadline(config.render_timeout, NO_PROGRESS),
    ):
        if find_mix(job.account_id, plan) is None:
            make_mix(job.account_id, plan, work, stop=heartbeat.should_stop)


def _is_running(job: Job) -> bool:
    with transaction() as session:
        return session.scalar(select(Job.state).where(Job.id == job.id)) == State.RUNNING
