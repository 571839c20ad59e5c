"""Route that downloads the artifacts of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.http import file_responses
from api.http.caller import account_id
from api.http.query_params import DownloadQuery
from api.openapi.resource import Resource
from api.tasks import signed_links
from shared.db import transaction
from shared.errors import NotFound
from shared.lifecycle import listing

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response

blueprint = Resource("artifacts", "The files that tasks produced.")


@blueprint.get("/tasks/<uuid:task_id>/artifacts/<path:name>")
@blueprint.documented(scope="jobs:read", query=DownloadQuery, file=True, errors=(404,))
def get_artifact(query: dict[str, Any], task_id: UUID, name: str) -> Response:
    """Download an artifact of a task, or a range of it."""
    with transaction() as session:
        artifact = listing.find_artifact(session, account_id(), task_id, name)
    if artifact is None:
        raise NotFound("This task has no such artifact. GET /v1/tasks/{task_id} lists its artifacts.")
    file_name = name.rpartition("/")[2]
    return file_responses.send_stored_file(
        artifact.storage_key,
        media_type=artifact.media_type,
        sha256=artifact.sha256,
        name=file_name,
        download=query["download"],
    )


@blueprint.get("/links/<uuid:task_id>/<int:expires>/<signature>/<path:name>")
@blueprint.documented(public=True, query=DownloadQuery, file=True, errors=(404,))
def get_linked_artifact(
    query: dict[str, Any], task_id: UUID, expires: int, signature: str, name: str
) -> Response:
    """Download an artifact by a signed link.

    It needs no key. `signed_url` of an artifact is such a link: ask for it by `links=signed`, or by `links` in the job.
    """
    with transaction() as session:
        found = signed_links.find_linked_artifact(session, task_id, expires, signature, name)
    if found is None:
        raise NotFound("There is no such file, or the link has expired.")
    response = file_responses.send_stored_file(
        found.storage_key,
        media_type=found.media_type,
        sha256=found.sha256,
        name=name.rpartition("/")[2],
        download=query["download"],
    )
    # Whoever has the link may show the file: players and pages of other origins as well.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
