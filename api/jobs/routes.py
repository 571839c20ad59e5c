"""Route of POST /v1/jobs, which accepts a job or answers its dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import g

from api.http import idempotency
from api.http.idempotency import StoredResponse
from api.http.query_params import JobQuery
from api.http.request_context import canonical_json, json_body
from api.jobs import acceptance
from api.jobs.dry_run import DryRunSchema, dry_run
from api.openapi.resource import Reply, Resource
from api.schemas.job import JobSchema
from api.schemas.task import TaskSchema
from api.server import offload
from api.tasks import views
from shared.script.schema.loading import load

if TYPE_CHECKING:
    from flask import Response

    from shared.models import Job

_TASK_SCHEMA = TaskSchema()
_BODY = {"required": True, "content": {"application/json": {"schema": JobSchema}}}
blueprint = Resource("jobs", "Submit jobs: a video or a script.")


@blueprint.post("/jobs")
@blueprint.documented(
    scope="jobs:write",
    query=JobQuery,
    body=_BODY,
    replies={
        202: Reply(TaskSchema, headers=("Location", "Retry-After", "Idempotent-Replayed")),
        200: Reply(DryRunSchema, about="The outcome of a dry run."),
    },
    idempotent=True,
)
def create_job(query: dict[str, Any]) -> Response:
    """Accept a job.

    The response comes as soon as the job is stored; `Location` is the path of its task. A dry run accepts nothing.
    """
    if query["dry_run"]:
        return dry_run()
    document = json_body()
    spec = offload.run_if_large(g.body_size, load, JobSchema(), document)
    return idempotency.to_response(acceptance.accept_job(spec, canonical_json(document), _accepted))


@blueprint.post("/dry-runs")
@blueprint.documented(
    scope="jobs:write",
    body=_BODY,
    replies={200: Reply(DryRunSchema, about="The outcome of the dry run.")},
)
def create_dry_run() -> Response:
    """Check a job, predict its timeline and estimate its cost, without accepting it.

    The same as `POST /v1/jobs?dry_run=true`, with one type of response.
    """
    return dry_run()


def _accepted(job: Job) -> StoredResponse:
    return StoredResponse(202, _TASK_SCHEMA.dump(views.new_task_view(job)), views.location_headers(job.id))
