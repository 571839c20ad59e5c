"""The assembly task: turns a job's rendered segments and its sound into artifacts, and returns the job's result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from shared import usage
from shared.db import transaction
from shared.errors import AssetUnreadable, Unavailable
from shared.models import Segment, StoredSegment
from shared.script.schema.canonical import dump_script
from shared.script.timeline import describe_unseen
from shared.settings import settings
from shared.states import Stage
from shared.storage.factory import storage
from shared.usage import UsageKind
from tasks.lifecycle import assembly
from tasks.run import JobOutput
from tasks.video.output.artifacts import assemble
from tasks.video.output.assembly_plan import build_assembly_plan
from tasks.video.output.stored_artifacts import assembly_key, copy_artifacts, store_files
from tasks.video.output.stored_mix import find_mix, make_mix
from tasks.video.plan.video_plan import load_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.models import Job
    from tasks.attempt import Attempt
    from tasks.video.plan.video_plan import Plan

ASSEMBLY_START = 0.95


def perform(attempt: Attempt) -> JobOutput:
    """Assemble the job's video, store its files, and return the job's result and artifacts."""
    job = attempt.job
    plan = load_plan(job)
    rows = _load_segments(job)
    attempt.report_progress(Stage.ASSEMBLING, ASSEMBLY_START)
    key = assembly_key(plan, rows)
    with transaction() as session:
        assembly.record_assembly_key(session, job, key)
        equal_artifacts = assembly.find_equal_artifacts(session, job.account_id, key)
    artifacts = copy_artifacts(job, equal_artifacts) or _assemble_and_store(attempt, plan, rows)
    attempt.raise_if_stopped()
    _charge(job, rows)
    return JobOutput(_job_result(plan, rows), tuple(artifacts))


def _charge(job: Job, rows: Sequence[tuple[Segment, str | None]]) -> None:
    """Charge the rendering's seconds, less what an earlier attempt at assembly has charged already."""
    seconds = sum(segment.render_seconds for segment, _ in rows)
    with transaction() as session:
        charged = usage.job_amount(session, job.id, UsageKind.RENDER_SECONDS)
        usage.record_usage(session, job, UsageKind.RENDER_SECONDS, max(0.0, seconds - charged), settings())


def _assemble_and_store(
    attempt: Attempt, plan: Plan, rows: Sequence[tuple[Segment, str | None]]
) -> list[dict[str, Any]]:
    """Assemble the video, store its files and return the artifacts' rows."""
    job = attempt.job
    segments = _locate_segments(rows)
    sound_files = find_mix(job.account_id, plan) or make_mix(
        job.account_id, plan, attempt.workdir, stop=attempt.should_stop
    )
    files = assemble(
        build_assembly_plan(plan, segments),
        mixed=sound_files,
        work=attempt.workdir,
        on_progress=lambda part: attempt.report_progress(
            Stage.ASSEMBLING, ASSEMBLY_START + (1 - ASSEMBLY_START) * part
        ),
        stop=attempt.should_stop,
        ffmpeg=settings().ffmpeg,
    )
    attempt.raise_if_stopped()
    return store_files(job, files)


def _load_segments(job: Job) -> list[tuple[Segment, str | None]]:
    """Return the job's segments in order, each with its storage key, or None if it is no longer stored."""
    with transaction() as session:
        rows = session.execute(
            select(Segment, StoredSegment.storage_key)
            .outerjoin(
                StoredSegment,
                (StoredSegment.account_id == Segment.account_id) & (StoredSegment.key == Segment.key),
            )
            .where(Segment.account_id == job.account_id, Segment.job_id == job.id)
            .order_by(Segment.index)
        )
        return [(segment, key) for segment, key in rows]


def _locate_segments(rows: Sequence[tuple[Segment, str | None]]) -> list[Path]:
    """Return the segments' files. Raise Unavailable if one was evicted meanwhile: the retry renders it again."""
    try:
        paths = [storage().locate(key) for _, key in rows if key is not None]
    except AssetUnreadable:
        paths = []
    if len(paths) < len(rows):
        raise Unavailable(
            "A rendered segment was evicted from the cache. The job is retried and renders it again."
        )
    return paths


def _job_result(plan: Plan, rows: Sequence[tuple[Segment, str | None]]) -> dict[str, Any]:
    timeline = plan.timeline
    cached = sum(segment.cached for segment, _ in rows)
    render_warnings = sorted({warning for segment, _ in rows for warning in segment.warnings})
    warnings = list(
        dict.fromkeys([*plan.warnings, *describe_unseen(timeline, plan.script), *render_warnings])
    )
    return {
        "duration": float(timeline.frames / timeline.fps),
        "script": dump_script(plan.script),
        "usage": {
            "render_seconds": round(sum(segment.render_seconds for segment, _ in rows), 3),
            "cached_segments": cached,
            "rendered_segments": len(rows) - cached,
            **plan.usage,
        },
        "encoder": plan.encoder,
        "warnings": warnings,
        **({"credits": list(plan.credits)} if plan.credits else {}),
        **plan.script_origin,
    }
