"""Rows as a client reads them: dictionaries that the schemas of what goes out then write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.tasks import progress_queries
from shared.lifecycle import listing
from shared.states import FINISHED, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.tasks.progress_queries import BatchProgress, SceneProgress
    from shared.models import Artifact, Job

RETRY_SECONDS = 1  # how long a client does well to wait before it asks for an unfinished task again
_RETRYABLE = (State.FAILED, State.CANCELED)
_AT_WORKERS = (State.RUNNING, State.CANCELING)


def task_views(session: Session, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return jobs with their scenes and files, by at most three queries however many they are."""
    videos = [job for job in jobs if job.kind == "video"]
    begun = [job.id for job in videos if job.attempt]
    scenes = progress_queries.scene_progress(session, begun) if begun else {}
    unplanned = [job.id for job in videos if job.id not in scenes]
    names = progress_queries.scene_ids(session, unplanned) if unplanned else {}
    done = [job.id for job in videos if job.state == State.SUCCEEDED]
    files = listing.list_artifacts(session, done) if done else {}
    return [
        _task(
            job,
            [_scene_view(each, worked_on=job.state in _AT_WORKERS) for each in scenes.get(job.id, ())]
            or [_waiting_scene(name) for name in names.get(job.id, ())],
            files.get(job.id, ()),
        )
        for job in jobs
    ]


def task_view(session: Session, job: Job) -> dict[str, Any]:
    """Return one job with its scenes and files."""
    return task_views(session, [job])[0]


def new_task_view(job: Job) -> dict[str, Any]:
    """Return a job that was just written down: nothing has to be asked for."""
    scenes = job.spec.get("script", {}).get("scenes", ())
    return _task(job, [_waiting_scene(scene["id"]) for scene in scenes if "id" in scene], ())


def _task(job: Job, scenes: list[dict[str, Any]], files: Sequence[Artifact]) -> dict[str, Any]:
    return {
        "task_id": job.id,
        "kind": job.kind,
        "status": job.state,
        "stage": job.stage if job.state in _AT_WORKERS else None,
        "progress": round(job.progress, 4),
        "attempt": job.attempt,
        "priority": job.priority,
        "custom_id": job.custom_id,
        "batch_id": job.batch_id,
        "template_id": job.template_id,
        "template_version": job.template_version,
        "metadata": job.meta,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "scenes": scenes,
        "result": _result(job, files),
        "error": job.error,
        "links": _links(job),
    }


def _result(job: Job, files: Sequence[Artifact]) -> dict[str, Any] | None:
    if job.result is None or job.kind != "video":
        return job.result
    return {**job.result, "artifacts": [artifact_view(each) for each in files]}


def _links(job: Job) -> dict[str, str]:
    here = f"/v1/tasks/{job.id}"
    links = {"self": here, "events": f"{here}/events"}
    if job.state not in FINISHED:
        links["cancel"] = f"{here}/cancel"
    if job.state in _RETRYABLE:
        links["retry"] = f"{here}/retry"
    if job.batch_id:
        links["batch"] = f"/v1/batch/{job.batch_id}"
    return links


def _waiting_scene(name: str) -> dict[str, Any]:
    return {"id": name, "status": "waiting", "progress": 0.0, "cached": False}


def _scene_view(scene: SceneProgress, *, worked_on: bool) -> dict[str, Any]:
    begun = worked_on and (scene.running or scene.progress > 0)
    return {
        "id": scene.id,
        "status": "done" if scene.done else "rendering" if begun else "waiting",
        "progress": round(scene.progress, 4),
        "cached": scene.cached,
    }


def artifact_view(row: Artifact) -> dict[str, Any]:
    """Return a file that a job made."""
    return {
        "name": row.name,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "width": row.width,
        "height": row.height,
        "duration": row.duration,
        "url": f"/v1/tasks/{row.job_id}/artifacts/{row.name}",
    }


def batch_view(found: BatchProgress) -> dict[str, Any]:
    """Return how far a batch is; every state is counted, also those that no job is in."""
    return {
        "batch_id": found.id,
        "status": "finished" if found.finished else "running",
        "progress": round(found.progress, 4),
        "counts": state_counts(found.counts),
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }


def state_counts(by_state: dict[State, int]) -> dict[str, int]:
    """Return a number for each state."""
    return {str(state): by_state.get(state, 0) for state in State}


def location_headers(job_id: UUID) -> dict[str, str]:
    """Return the headers that tell where a new task is."""
    return {"Location": f"/v1/tasks/{job_id}", "Retry-After": str(RETRY_SECONDS)}
