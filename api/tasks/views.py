"""Views of tasks and batches: dictionaries built from rows, which the response schemas write."""

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
    from api.tasks.signed_links import LinkSigner
    from shared.models import Artifact, Job

RETRY_SECONDS = 1  # Retry-After of an unfinished task
_RETRYABLE = (State.FAILED, State.CANCELED)
_AT_WORKERS = (State.RUNNING, State.CANCELING)


def task_views(
    session: Session, jobs: Sequence[Job], signer: LinkSigner | None = None
) -> list[dict[str, Any]]:
    """Return the views of jobs with their scenes and files, by at most three queries for all of them."""
    videos = [job for job in jobs if job.kind == "video"]
    planned = [job.id for job in videos if job.attempt]
    scenes = progress_queries.scene_progress(session, planned) if planned else {}
    unplanned = [job.id for job in videos if job.id not in scenes]
    names = progress_queries.scene_ids(session, unplanned) if unplanned else {}
    succeeded = [job.id for job in videos if job.state == State.SUCCEEDED]
    files = listing.list_artifacts(session, succeeded) if succeeded else {}
    return [
        _task(
            job,
            [_scene_view(scene, is_active=job.state in _AT_WORKERS) for scene in scenes.get(job.id, ())]
            or [_waiting_scene(name) for name in names.get(job.id, ())],
            files.get(job.id, ()),
            signer,
        )
        for job in jobs
    ]


def task_view(session: Session, job: Job, signer: LinkSigner | None = None) -> dict[str, Any]:
    """Return the view of one job with its scenes and files."""
    return task_views(session, [job], signer)[0]


def new_task_view(job: Job) -> dict[str, Any]:
    """Return the view of a job that was just inserted, without any query."""
    scenes = job.spec.get("script", {}).get("scenes", ())
    return _task(job, [_waiting_scene(scene["id"]) for scene in scenes if "id" in scene], ())


def _task(
    job: Job,
    scenes: list[dict[str, Any]],
    files: Sequence[Artifact],
    signer: LinkSigner | None = None,
) -> dict[str, Any]:
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
        "result": _result(job, files, signer),
        "error": job.error,
        "links": _links(job),
    }


def _result(job: Job, files: Sequence[Artifact], signer: LinkSigner | None) -> dict[str, Any] | None:
    if job.result is None or job.kind != "video":
        return job.result
    return {**job.result, "artifacts": [_signed_artifact_view(job, each, signer) for each in files]}


def _links(job: Job) -> dict[str, str]:
    path = f"/v1/tasks/{job.id}"
    links = {"self": path, "events": f"{path}/events"}
    if job.state not in FINISHED:
        links["cancel"] = f"{path}/cancel"
    if job.state in _RETRYABLE:
        links["retry"] = f"{path}/retry"
    if job.batch_id:
        links["batch"] = f"/v1/batch/{job.batch_id}"
    return links


def _waiting_scene(name: str) -> dict[str, Any]:
    return {"id": name, "status": "waiting", "progress": 0.0, "cached": False}


def _scene_view(scene: SceneProgress, *, is_active: bool) -> dict[str, Any]:
    started = is_active and (scene.running or scene.progress > 0)
    return {
        "id": scene.id,
        "status": "done" if scene.done else "rendering" if started else "waiting",
        "progress": round(scene.progress, 4),
        "cached": scene.cached,
    }


def _signed_artifact_view(job: Job, row: Artifact, signer: LinkSigner | None) -> dict[str, Any]:
    signed_url = signer.sign(job, row) if signer else None
    return artifact_view(row) | ({"signed_url": signed_url} if signed_url else {})


def artifact_view(row: Artifact) -> dict[str, Any]:
    """Return the view of an artifact."""
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


def batch_view(progress: BatchProgress) -> dict[str, Any]:
    """Return the view of a batch's progress, with a count for every state."""
    return {
        "batch_id": progress.id,
        "status": "finished" if progress.finished else "running",
        "progress": round(progress.progress, 4),
        "counts": state_counts(progress.counts),
        "created_at": progress.created_at,
        "finished_at": progress.finished_at,
    }


def state_counts(by_state: dict[State, int]) -> dict[str, int]:
    """Return a count for each state, 0 included."""
    return {str(state): by_state.get(state, 0) for state in State}


def location_headers(job_id: UUID) -> dict[str, str]:
    """Return the Location and Retry-After headers of a new task."""
    return {"Location": f"/v1/tasks/{job_id}", "Retry-After": str(RETRY_SECONDS)}
