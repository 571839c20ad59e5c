"""Many jobs in one request: all of them are taken, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api import accept, replay, tasks, views
from api.auth import account_id, requires
from api.openapi import Resource, creates, fails, headers
from api.queries import NoQuery, TasksQuery
from api.requests import canonical, config, json_body
from shared import batches, listing
from shared.db import transaction
from shared.errors import NotFound
from shared.idempotency import Answer
from shared.schemas.batch import BatchSchema
from shared.schemas.task import AcceptedBatchSchema, BatchStatusSchema, TaskPageSchema
from shared.states import State

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from shared.listing import BatchProgress
    from shared.schemas.batch import BatchSpec

blueprint = Resource("batch", "Many jobs at once.")


@blueprint.post("/batch")
@requires("jobs:write")
@creates
@blueprint.arguments(NoQuery, location="query")
@blueprint.arguments(BatchSchema)
@blueprint.response(
    202, AcceptedBatchSchema, headers=headers("Location", "Retry-After", "Idempotent-Replayed")
)
def create_batch(_: Any, spec: BatchSpec) -> Response:
    """Accept many jobs.

    All of them are taken, or none: then every wrong one is listed.
    """
    with transaction() as session:
        answer = replay.once(session, canonical(json_body()), lambda: _take(session, spec))
    accept.announce(answer, [job.kind for job in spec.jobs])
    return replay.respond(answer)


@blueprint.get("/batch/<uuid:batch_id>")
@requires("jobs:read")
@fails(404)
@blueprint.response(200, BatchStatusSchema)
def get_batch(batch_id: UUID) -> dict[str, Any]:
    """Show how far a batch is."""
    with transaction() as session:
        return views.batch(_find(session, batch_id))


@blueprint.get("/batch/<uuid:batch_id>/tasks")
@requires("jobs:read")
@fails(404)
@blueprint.arguments(TasksQuery, location="query")
@blueprint.response(200, TaskPageSchema)
def list_batch_tasks(query: dict[str, Any], batch_id: UUID) -> dict[str, Any]:
    """List a batch's tasks, newest first."""
    with transaction() as session:
        _find(session, batch_id)
    return tasks.page(**query, batch_id=batch_id)


@blueprint.post("/batch/<uuid:batch_id>/cancel")
@requires("jobs:write")
@fails(404)
@blueprint.response(202, BatchStatusSchema)
def cancel_batch(batch_id: UUID) -> dict[str, Any]:
    """Cancel every unfinished task of a batch."""
    with transaction() as session:
        _find(session, batch_id)
        batches.cancel(session, account_id(), batch_id)
        accept.note(session, "batches.canceled", str(batch_id))
        return views.batch(_find(session, batch_id))


@blueprint.post("/batch/<uuid:batch_id>/retry")
@requires("jobs:write")
@fails(404)
@blueprint.response(202, BatchStatusSchema)
def retry_batch(batch_id: UUID) -> dict[str, Any]:
    """Run every failed task of a batch again."""
    with transaction() as session:
        _find(session, batch_id)
        batches.retry(session, account_id(), batch_id, attempts=config().max_attempts)
        accept.note(session, "batches.retried", str(batch_id))
        shown = views.batch(_find(session, batch_id))
    accept.nudge()
    return shown


def _take(session: Session, spec: BatchSpec) -> Answer:
    batch_id, job_ids = accept.take_batch(session, spec.jobs)
    body = {
        "batch_id": batch_id,
        "counts": views.counts({State.QUEUED: len(job_ids)}),
        "task_ids": job_ids,
    }
    location = {"Location": f"/v1/batch/{batch_id}", "Retry-After": str(views.RETRY_SECONDS)}
    return Answer(202, AcceptedBatchSchema().dump(body), location)


def _find(session: Session, batch_id: UUID) -> BatchProgress:
    found = listing.batch(session, account_id(), batch_id)
    if found is None:
        raise NotFound("There is no such batch.")
    return found
