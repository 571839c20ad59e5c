"""Stores a job's files as artifacts, and gives a job the artifacts of an earlier one that made the same files."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shared.errors import AssetUnreadable, Unavailable
from shared.script.schema.canonical import dump_script
from shared.script.schema.output import dump_output
from shared.storage.factory import storage
from tasks import storage_keys
from tasks.video.output.stored_mix import mix_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.models import Artifact, Job, Segment
    from tasks.video.output.artifacts import OutputFile
    from tasks.video.plan.video_plan import Plan

# Part of the key: raise it when assembly makes different files of the same segments and sound.
REVISION = 2
ARTIFACT_COLUMNS = ("name", "position", "media_type", "bytes", "sha256", "width", "height", "duration")


def assembly_key(plan: Plan, rows: Sequence[tuple[Segment, str | None]]) -> str:
    """Return the hash of all that decides a job's artifacts."""
    deciding = {
        "segments": [segment.key for segment, _ in rows],
        "sound": mix_keys(plan),
        "output": dump_output(plan.output),
        "script": dump_script(plan.script),
        "words": [asdict(cue) for cue in plan.cues],
        "revision": REVISION,
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def copy_artifacts(job: Job, equal_artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """Copy an equal job's artifacts for this one and return their rows; none if one of their files is gone."""
    rows: list[dict[str, Any]] = []
    for artifact in equal_artifacts:
        row = {name: getattr(artifact, name) for name in ARTIFACT_COLUMNS}
        row["storage_key"] = storage_keys.artifact_key(job, artifact.name)
        try:
            storage().copy(artifact.storage_key, row["storage_key"])
        except AssetUnreadable:
            _delete_files(rows)
            return []
        rows.append(row)
    return rows


def store_files(job: Job, files: Sequence[OutputFile]) -> list[dict[str, Any]]:
    """Store the files under names that hold the attempt, and return the artifacts' rows."""
    rows: list[dict[str, Any]] = []
    try:
        for position, file in enumerate(files):
            key = storage_keys.artifact_key(job, file.name)
            row: dict[str, Any] = {
                "name": file.name,
                "position": position,
                "storage_key": key,
                "media_type": file.media_type,
                "bytes": file.path.stat().st_size,
                "sha256": _sha256(file.path),
                "width": file.width,
                "height": file.height,
                "duration": file.duration,
            }
            if file.path.is_relative_to(storage().root):
                storage().link(file.path, key)  # a stored mix: moving it would take it from the next job
            else:
                storage().put(file.path, key)
            rows.append(row)
    except BaseException:  # also a stopped job or worker: no row will name what is stored so far
        _delete_files(rows)
        raise
    return rows


def _delete_files(rows: Sequence[dict[str, Any]]) -> None:
    """Delete stored files that no row will name; orphan cleanup deletes what storage does not delete now."""
    with suppress(Unavailable):
        for row in rows:
            storage().delete(row["storage_key"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
