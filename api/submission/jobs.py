"""Jobs come in here. The work happens in workers, after the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth import requires
from api.http import replay
from api.http.describing import headers
from api.http.queries import JobQuery
from api.http.requests import canonical, json_body
from api.openapi import Resource, creates
from api.progress import views
from api.submission import accept
from api.submission.rehearsal import RehearsalSchema, rehearsed
from shared.db import transaction
from shared.idempotency import Answer
from shared.schemas.job import JobSchema
from shared.schemas.task import TaskSchema

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

    from shared.schemas.job import JobSpec

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
    accept.check_hooks([spec], ["#"])
    with transaction() as session:
        answer = replay.once(session, canonical(json_body()), lambda: _take(session, spec))
    accept.announce(answer, {spec.kind: 1})
    return replay.respond(answer)


def _take(session: Session, spec: JobSpec) -> Answer:
    job = accept.take(session, spec)
    return Answer(202, _TASK.dump(views.new(job)), views.links_of(job.id))
