"""What becomes of jobs: to look at, to wait for, to cancel, to retry, to delete."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify, request

from api.auth import account_id, requires
from api.http import conditional_requests, file_responses
from api.http.query_params import AllTasksQuery, WaitQuery
from api.http.request_context import canonical, config
from api.http.response_docs import headers
from api.jobs import acceptance
from api.openapi import Resource, empty, fails
from api.schemas.task import TaskPageSchema, TaskSchema
from api.tasks import views
from api.tasks.change_poller import watch
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.lifecycle import cancellation, jobs, listing, retention
from shared.states import FINISHED

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from shared.models import Job

blueprint = Resource("tasks", "What becomes of jobs.")


@blueprint.get("/tasks")
@requires("jobs:read")
@blueprint.arguments(AllTasksQuery, location="query")
@blueprint.response(200, TaskPageSchema)
def list_tasks(query: dict[str, Any]) -> dict[str, Any]:
    """List tasks, newest first."""
    return page(**query)


@blueprint.get("/tasks/<uuid:task_id>")
@requires("jobs:read")
@fails(304, 404, 412)
@blueprint.arguments(WaitQuery, location="query")
@blueprint.response(200, TaskSchema, headers=headers("ETag", "Retry-After"))
def get_task(query: dict[str, Any], task_id: UUID) -> Response:
    """Show a task.

    With `wait`, an unfinished one is answered as soon as it changes.
    """
    return _show(_shown(task_id, query["wait"]))


@blueprint.post("/tasks/<uuid:task_id>/cancel")
@requires("jobs:write")
@fails(404, 409)
@blueprint.response(202, TaskSchema)
def cancel_task(task_id: UUID) -> dict[str, Any]:
    """Cancel an unfinished task."""
    with transaction() as session:
        find(session, task_id)
        if cancellation.cancel(session, account_id(), task_id) is None:
            raise Conflict("The task has ended already.")
        acceptance.note(session, "jobs.canceled", str(task_id))
        return views.task(session, find(session, task_id))


@blueprint.post("/tasks/<uuid:task_id>/retry")
@requires("jobs:write")
@fails(404, 409)
@blueprint.response(202, TaskSchema)
def retry_task(task_id: UUID) -> dict[str, Any]:
    """Run a failed or canceled task again; what is finished of it is used again."""
    with transaction() as session:
        find(session, task_id)
        if not jobs.retry(session, account_id(), task_id, attempts=config().max_attempts):
            raise Conflict("Only a failed or canceled task can be retried.")
        acceptance.note(session, "jobs.retried", str(task_id))
        shown = views.task(session, find(session, task_id))
    acceptance.nudge()
    return shown


@blueprint.delete("/tasks/<uuid:task_id>")
@requires("jobs:write")
@fails(404, 409)
@empty
def delete_task(task_id: UUID) -> None:
    """Delete a finished task with its files."""
    with transaction() as session:
        find(session, task_id)
        unneeded = retention.remove(session, account_id(), task_id)
        if unneeded is None:
            raise Conflict("The task is unfinished: cancel it first.")
        acceptance.note(session, "jobs.deleted", str(task_id))
    for key in unneeded:
        file_responses.drop(key)


def page(
    *, wanted: listing.Wanted, limit: int, after: listing.Cursor | None, batch_id: UUID | None = None
) -> dict[str, Any]:
    """Return a page of the caller's tasks, of one batch where it is named."""
    wanted = replace(wanted, batch_id=batch_id or wanted.batch_id)
    with transaction() as session:
        found, following = listing.jobs(session, account_id(), wanted, limit=limit, after=after)
        return {"data": views.tasks(session, found), "next_cursor": following and str(following)}


def find(session: Session, task_id: UUID) -> Job:
    """Return the caller's job as it is now, or raise NotFound."""
    session.expire_all()
    job = listing.job(session, account_id(), task_id)
    if job is None:
        raise NotFound("There is no such task.")
    return job


def _shown(task_id: UUID, wait: float) -> dict[str, Any]:
    """Return the task's document, after a change of it where it is worth waiting for one."""
    with transaction() as session:
        job = find(session, task_id)
        shown = views.task(session, job)
    if not wait or job.state in FINISHED or _is_new(shown):
        return shown
    watch.wait(task_id, job.version, wait)
    with transaction() as session:
        return views.task(session, find(session, task_id))


def _is_new(shown: dict[str, Any]) -> bool:
    """Whether the client knows an older answer, and so need not wait for a newer one."""
    known = request.if_none_match
    return bool(known) and not known.contains_weak(_tag(TaskSchema().dump(shown)))


def _show(shown: dict[str, Any]) -> Response:
    document = TaskSchema().dump(shown)
    tag = _tag(document)
    conditional_requests.heed(tag)
    response = jsonify(document)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    if shown["status"] not in FINISHED:
        response.headers["Retry-After"] = str(views.RETRY_SECONDS)
    response.make_conditional(request)
    return response


def _tag(document: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()[:32]
