"""Jobs come in here. The work happens in workers, after the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth import requires
from api.http import idempotency
from api.http.query_params import JobQuery
from api.http.request_context import canonical, json_body
from api.http.response_docs import headers
from api.http.stored_answers import Answer
from api.jobs import acceptance
from api.jobs.dry_run import RehearsalSchema, rehearsed
from api.openapi import Resource, creates
from api.schemas.job import JobSchema
from api.schemas.task import TaskSchema
from api.tasks import views
from shared.db import transaction

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

    from api.schemas.job import JobSpec

_TASK = TaskSchema()
blueprint = Resource("jobs", "What is to be made.")


@blueprint.post("/jobs")
@requires("jobs:write")
@creates
@blueprint.arguments(JobQuery, location="query")
@rehearsed
@blueprint.arguments(JobSchema)
@blueprint.response(200, RehearsalSchema, description="The answer to a dry run.")
@blueprint.response(202, TaskSchema, headers=headers("Location", "Retry-After", "Idempotent-Replayed"))
def create_job(spec: JobSpec) -> Response:
    """Accept a job.

    It is answered as soon as it is written down; `Location` is where to see what becomes of it. A dry run takes nothing.
    """
    acceptance.check_hooks([spec], ["#"])
    with transaction() as session:
        answer = idempotency.once(session, canonical(json_body()), lambda: _take(session, spec))
    acceptance.announce(answer, {spec.kind: 1})
    return idempotency.respond(answer)


def _take(session: Session, spec: JobSpec) -> Answer:
    job = acceptance.take(session, spec)
    return Answer(202, _TASK.dump(views.new(job)), views.links_of(job.id))
