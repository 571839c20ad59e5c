"""Routes of /v1/tasks: list, show, long-poll, cancel, retry, delete."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request

from api import audit, publishing
from api.http import conditional_requests, file_responses
from api.http.caller import account_id
from api.http.query_params import AllTasksQuery, WaitQuery
from api.http.request_context import canonical_json, config, public_url
from api.openapi.resource import Reply, Resource
from api.schemas.task import TaskPageSchema, TaskSchema
from api.tasks import signed_links, views
from api.tasks.change_poller import poller
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.lifecycle import cancellation, jobs, listing, retention
from shared.states import FINISHED

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from shared.models import Job

blueprint = Resource("tasks", "The runs of jobs: status, progress and results.")


@blueprint.get("/tasks")
@blueprint.documented(scope="jobs:read", query=AllTasksQuery, replies={200: TaskPageSchema})
def list_tasks(query: dict[str, Any]) -> dict[str, Any]:
    """List tasks, newest first."""
    return list_page(**query)


@blueprint.get("/tasks/<uuid:task_id>")
@blueprint.documented(
    scope="jobs:read",
    query=WaitQuery,
    replies={200: Reply(TaskSchema, headers=("ETag", "Retry-After"))},
    errors=(304, 404, 412),
)
def get_task(query: dict[str, Any], task_id: UUID) -> Response:
    """Show a task.

    With `wait`, the response for an unfinished task is sent as soon as it changes.
    """
    return _conditional_response(_task_after_wait(task_id, query["wait"], signed="links" in query))


@blueprint.post("/tasks/<uuid:task_id>/cancel")
@blueprint.documented(scope="jobs:write", replies={202: TaskSchema}, errors=(404, 409))
def cancel_task(task_id: UUID) -> dict[str, Any]:
    """Cancel an unfinished task."""
    with transaction() as session:
        find_job(session, task_id)
        if cancellation.cancel(session, account_id(), task_id) is None:
            raise Conflict("The task has already ended and cannot be canceled.")
        audit.record(session, "jobs.canceled", str(task_id))
        return views.task_view(session, find_job(session, task_id))


@blueprint.post("/tasks/<uuid:task_id>/retry")
@blueprint.documented(scope="jobs:write", replies={202: TaskSchema}, errors=(404, 409))
def retry_task(task_id: UUID) -> dict[str, Any]:
    """Run a failed or canceled task again; its finished segments are reused."""
    with transaction() as session:
        find_job(session, task_id)
        if not jobs.retry(session, account_id(), task_id, attempts=config().max_attempts):
            raise Conflict("Only a failed or canceled task can be retried. Submit a new job instead.")
        audit.record(session, "jobs.retried", str(task_id))
        document = views.task_view(session, find_job(session, task_id))
    publishing.publish_queued()
    return document


@blueprint.delete("/tasks/<uuid:task_id>")
@blueprint.documented(scope="jobs:write", replies={204: Reply(about="Done.")}, errors=(404, 409))
def delete_task(task_id: UUID) -> None:
    """Delete a finished task with its files."""
    with transaction() as session:
        find_job(session, task_id)
        unused_keys = retention.delete_job(session, account_id(), task_id)
        if unused_keys is None:
            raise Conflict("The task is unfinished. Cancel it first, then delete it.")
        audit.record(session, "jobs.deleted", str(task_id))
    # After the commit: a file deleted before a rollback could not be restored.
    for key in unused_keys:
        file_responses.delete_stored_file(key)


def list_page(
    *,
    wanted: listing.JobFilter,
    limit: int,
    after: listing.Cursor | None,
    batch_id: UUID | None = None,
    links: str | None = None,
) -> dict[str, Any]:
    """Return a page of the caller's tasks, of one batch if it is given."""
    wanted = replace(wanted, batch_id=batch_id or wanted.batch_id)
    with transaction() as session:
        page_jobs, next_cursor = listing.list_jobs(session, account_id(), wanted, limit=limit, after=after)
        signer = signed_links.load_signer(
            session, account_id(), page_jobs, base_url=public_url(), signed=links is not None
        )
        return {
            "data": views.task_views(session, page_jobs, signer),
            "next_cursor": next_cursor and str(next_cursor),
        }


def find_job(session: Session, task_id: UUID) -> Job:
    """Return the current state of the caller's job, or raise NotFound."""
    # The rows were changed by UPDATE statements; the session would return its stale objects.
    session.expire_all()
    job = listing.find_job(session, account_id(), task_id)
    if job is None:
        raise NotFound("There is no such task.")
    return job


def _show(session: Session, job: Job, *, signed: bool) -> dict[str, Any]:
    signer = signed_links.load_signer(session, account_id(), [job], base_url=public_url(), signed=signed)
    return views.task_view(session, job, signer)


def _task_after_wait(task_id: UUID, wait: float, *, signed: bool) -> dict[str, Any]:
    """Return the task's document; with `wait`, after it has changed or the time is over."""
    with transaction() as session:
        job = find_job(session, task_id)
        shown = _show(session, job, signed=signed)
    if not wait or job.state in FINISHED or _client_is_behind(shown):
        return shown
    poller.wait(task_id, job.version, wait)
    with transaction() as session:
        return _show(session, find_job(session, task_id), signed=signed)


def _client_is_behind(document: dict[str, Any]) -> bool:
    """Return whether If-None-Match names an older version: then there is news already, and nothing to wait for."""
    client_tags = request.if_none_match
    return bool(client_tags) and not client_tags.contains_weak(_etag(TaskSchema().dump(document)))


def _conditional_response(document: dict[str, Any]) -> Response:
    document = TaskSchema().dump(document)
    tag = _etag(document)
    conditional_requests.check_if_match(tag)
    response = jsonify(document)
    response.set_etag(tag)
    # Revalidated each time by ETag, and never stored by a shared cache.
    response.headers["Cache-Control"] = "private, no-cache"
    if document["status"] not in FINISHED:
        response.headers["Retry-After"] = str(views.RETRY_SECONDS)
    response.make_conditional(request)
    return response


def _etag(document: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document)).hexdigest()[:32]
