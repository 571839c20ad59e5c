"""The planning task: plans a video, stores the plan with its segments, and publishes those that are not rendered yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.db import transaction
from shared.dispatch import messages, publishing
from shared.lifecycle import jobs
from shared.processes.ffmpeg import Stopped
from tasks.lifecycle import assembly, segments
from tasks.video.plan.planning import plan_job_segments, plan_video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.models import Job
    from tasks.attempt import Attempt
    from tasks.run import JobOutput
    from tasks.video.plan.segments import SegmentPlan
    from tasks.video.plan.video_plan import Plan


def perform(attempt: Attempt) -> JobOutput | None:
    """Plan the job and hand it over to the segments' workers. Return None: the job is still running."""
    plan = plan_video(attempt)
    attempt.raise_if_stopped()
    planned_segments = plan_job_segments(attempt.job, plan)
    attempt.raise_if_stopped()
    _store_plan(attempt.job, plan, planned_segments)
    return None


def _store_plan(job: Job, plan: Plan, planned_segments: Sequence[SegmentPlan]) -> None:
    planned = [
        segments.PlannedSegment(segment.key, segment.frames, segment.scene_ids, segment.spec)
        for segment in planned_segments
    ]
    with transaction() as session:
        if not jobs.hand_over_to_segments(session, job.id, job.attempt, plan.to_json()):
            raise Stopped  # the lease is lost: another worker plans the job, and this plan must not be stored
        complete = segments.replace_segments(session, job, planned) and assembly.begin(session, job.id)
    # After the commit: a message sent earlier might be received before its rows are visible.
    if not complete:
        publishing.send([messages.mix_message(job)])
    publishing.publish(job.account_id)
