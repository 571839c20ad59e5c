"""Turns a job's finished segments and its sound into artifacts, and its end."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from shared import usage
from shared.db import transaction
from shared.errors import AssetUnreadable, Unavailable
from shared.models import Segment, StoredSegment
from shared.script.schema.canonical import dump_script
from shared.script.schema.output import dump_output
from shared.script.timeline import describe_unseen
from shared.settings import settings
from shared.states import Stage
from shared.storage.factory import storage
from shared.usage import UsageKind
from tasks import storage_keys
from tasks.lifecycle import assembly
from tasks.run import JobOutput
from tasks.video import mix_task, plan_task
from tasks.video.output import artifacts as assemble

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.models import Artifact, Job
    from tasks.run import Attempt
    from tasks.video.output.artifacts import OutputFile

ASSEMBLY_START = 0.95
# Goes up when assembly makes other files of the same segments and sound.
REVISION = 2
ARTIFACT_COLUMNS = ("name", "position", "media_type", "bytes", "sha256", "width", "height", "duration")


def perform(attempt: Attempt) -> JobOutput:
    """Assemble the job's video, store what was made, and return the job's result."""
    job = attempt.job
    plan = plan_task.load_plan(job)
    rows = _load_segments(job)
    attempt.report_progress(Stage.ASSEMBLING, ASSEMBLY_START)
    key = _assembly_key(plan, rows)
    with transaction() as session:
        assembly.record_assembly_key(session, job, key)
        same = assembly.find_equal_artifacts(session, job.account_id, key)
    artifacts = _copy_artifacts(job, same) or _assemble_and_store(attempt, plan, rows)
    attempt.raise_if_stopped()
    _charge(job, rows)
    return JobOutput(_job_result(plan, rows), tuple(artifacts))


def _charge(job: Job, rows: Sequence[tuple[Segment, str | None]]) -> None:
    """Write down what the rendering has cost beyond what an earlier attempt at assembly wrote down."""
    seconds = sum(segment.render_seconds for segment, _ in rows)
    with transaction() as session:
        written = usage.job_amount(session, job.id, UsageKind.RENDER_SECONDS)
        usage.record_usage(session, job, UsageKind.RENDER_SECONDS, max(0.0, seconds - written), settings())


def _assembly_key(plan: plan_task.Plan, rows: Sequence[tuple[Segment, str | None]]) -> str:
    """Return the hash of all that decides the artifacts."""
    deciding = {
        "segments": [segment.key for segment, _ in rows],
        "sound": mix_task.mix_keys(plan),
        "output": dump_output(plan.output),
        "script": dump_script(plan.script),
        "words": [asdict(cue) for cue in plan.cues],
        "revision": REVISION,
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _copy_artifacts(job: Job, same: Sequence[Artifact]) -> list[dict[str, Any]]:
    """Give the artifacts of an equal job to this one; none where one of their files is gone."""
    rows: list[dict[str, Any]] = []
    for artifact in same:
        row = {name: getattr(artifact, name) for name in ARTIFACT_COLUMNS}
        row["storage_key"] = storage_keys.artifact_key(job, artifact.name)
        try:
            storage().copy(artifact.storage_key, row["storage_key"])
        except AssetUnreadable:
            _delete_files(rows)
            return []
        rows.append(row)
    return rows


def _assemble_and_store(
    attempt: Attempt, plan: plan_task.Plan, rows: Sequence[tuple[Segment, str | None]]
) -> list[dict[str, Any]]:
    """Assemble the job's video and store what was made."""
    job = attempt.job
    segments = _locate_segments(rows)
    heard = mix_task.find_mix(job.account_id, plan) or mix_task.make_mix(
        job.account_id, plan, attempt.workdir, stop=attempt.should_stop
    )
    made = assemble.assemble(
        plan_task.build_assembly_plan(plan, segments),
        mixed=heard,
        work=attempt.workdir,
        on_progress=lambda part: attempt.report_progress(
            Stage.ASSEMBLING, ASSEMBLY_START + (1 - ASSEMBLY_START) * part
        ),
        stop=attempt.should_stop,
        ffmpeg=settings().ffmpeg,
    )
    attempt.raise_if_stopped()
    return _store_files(job, made)


def _load_segments(job: Job) -> list[tuple[Segment, str | None]]:
    """Return the job's segments in order, each with its place in the store."""
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
    """Return the segments' files; one that was evicted meanwhile sends the job back to have it rendered again."""
    try:
        paths = [storage().locate(key) for _, key in rows if key is not None]
    except AssetUnreadable:
        paths = []
    if len(paths) < len(rows):
        raise Unavailable("A rendered segment is no longer stored; it will be rendered again.")
    return paths


def _job_result(plan: plan_task.Plan, rows: Sequence[tuple[Segment, str | None]]) -> dict[str, Any]:
    timeline = plan.timeline
    cached = sum(segment.cached for segment, _ in rows)
    drawn = sorted({warning for segment, _ in rows for warning in segment.warnings})
    warnings = list(dict.fromkeys([*plan.warnings, *describe_unseen(timeline, plan.script), *drawn]))
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
        **plan.written,
    }


def _store_files(job: Job, made: Sequence[OutputFile]) -> list[dict[str, Any]]:
    """Move the files into storage, under names that hold the attempt, and return the artifacts' rows."""
    rows: list[dict[str, Any]] = []
    try:
        for position, each in enumerate(made):
            key = storage_keys.artifact_key(job, each.name)
            row: dict[str, Any] = {
                "name": each.name,
                "position": position,
                "storage_key": key,
                "media_type": each.media_type,
                "bytes": each.path.stat().st_size,
                "sha256": _sha256(each.path),
                "width": each.width,
                "height": each.height,
                "duration": each.duration,
            }
            if each.path.is_relative_to(storage().root):
                storage().link(each.path, key)  # such as a sound that the next job will want as well
            else:
                storage().put(each.path, key)
            rows.append(row)
    except BaseException:
        _delete_files(rows)
        raise
    return rows


def _delete_files(rows: Sequence[dict[str, Any]]) -> None:
    """Delete stored files that no row will name; what cannot be reached now is found to be nobody's later."""
    with suppress(Unavailable):
        for row in rows:
            storage().delete(row["storage_key"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
