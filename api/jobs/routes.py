"""Jobs come in here. The work happens in workers, after the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth import requires
from api.http import idempotency
from api.http.query_params import JobQuery
from api.http.request_context import canonical_json, json_body
from api.http.response_docs import header_refs
from api.http.stored_responses import StoredResponse
from api.jobs import acceptance
from api.jobs.dry_run import DryRunSchema, answers_dry_run
from api.openapi import Resource, creates
from api.schemas.job import JobSchema
from api.schemas.task import TaskSchema
from api.tasks import views
from shared.db import transaction

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

    from api.schemas.job import JobSpec

_TASK_SCHEMA = TaskSchema()
blueprint = Resource("jobs", "What is to be made.")


@blueprint.post("/jobs")
@requires("jobs:write")
@creates
@blueprint.arguments(JobQuery, location="query")
@answers_dry_run
@blueprint.arguments(JobSchema)
@blueprint.response(200, DryRunSchema, description="The answer to a dry run.")
@blueprint.response(202, TaskSchema, headers=header_refs("Location", "Retry-After", "Idempotent-Replayed"))
def create_job(spec: JobSpec) -> Response:
    """Accept a job.

    It is answered as soon as it is written down; `Location` is where to see what becomes of it. A dry run takes nothing.
    """
    acceptance.check_webhook_urls([spec], ["#"])
    with transaction() as session:
        answer = idempotency.run_once(session, canonical_json(json_body()), lambda: _accept(session, spec))
    acceptance.publish_accepted(answer, {spec.kind: 1})
    return idempotency.to_response(answer)


def _accept(session: Session, spec: JobSpec) -> StoredResponse:
    job = acceptance.accept_job(session, spec)
    return StoredResponse(202, _TASK_SCHEMA.dump(views.new_task_view(job)), views.location_headers(job.id))
