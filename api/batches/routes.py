"""Many jobs in one request, and what becomes of them together."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Response

from api.auth import account_id, requires
from api.batches import batch_actions
from api.batches.batch_import import BatchImport
from api.batches.body_formats import BODY, NDJSON, BatchQuery, parse_body, receive_body
from api.http import idempotency
from api.http.query_params import TasksQuery
from api.http.request_context import config
from api.http.response_docs import header_refs
from api.http.stored_responses import StoredResponse
from api.jobs import acceptance
from api.openapi import Resource, creates, fails, streams, takes
from api.schemas.batch import RowChecker
from api.schemas.task import AcceptedBatchSchema, BatchStatusSchema, TaskPageSchema, TaskSchema
from api.tasks import progress_queries, routes, views
from shared.db import transaction
from shared.errors import NotFound, Unavailable
from shared.lifecycle import listing
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.batches.body_formats import PostedBatch
    from api.tasks.progress_queries import BatchProgress

blueprint = Resource("batch", "Many jobs at once.")
PAGE_SIZE = 100  # tasks that are held at once when all are given
SLOT_SECONDS = 20.0
_read_slots = threading.BoundedSemaphore(2)


@blueprint.post("/batch")
@requires("jobs:write")
@creates
@takes(BODY)
@fails(422)
@blueprint.arguments(BatchQuery, location="query")
@blueprint.response(
    202, AcceptedBatchSchema, headers=header_refs("Location", "Retry-After", "Idempotent-Replayed")
)
def create_batch(query: dict[str, Any]) -> Response:
    """Accept many jobs: as JSON, as a job a line, or as a table that fills a template.

    All of them are taken, or none: then every wrong one is listed. With `on_invalid: skip` the good ones are taken.
    """
    body = receive_body(query)
    with _read_slot():
        posted = parse_body(query, body)
        batch_import = BatchImport.start(posted.spec)
        with transaction() as session:
            answer = idempotency.run_once(
                session, posted.fingerprint, lambda: _accept(session, posted, batch_import)
            )
    acceptance.publish_accepted(answer, batch_import.kinds)
    return idempotency.to_response(answer)


@blueprint.get("/batch/<uuid:batch_id>")
@requires("jobs:read")
@fails(404)
@blueprint.response(200, BatchStatusSchema)
def get_batch(batch_id: UUID) -> dict[str, Any]:
    """Show how far a batch is."""
    with transaction() as session:
        return views.batch_view(_find(session, batch_id))


@blueprint.get("/batch/<uuid:batch_id>/tasks")
@requires("jobs:read")
@fails(404)
@blueprint.arguments(TasksQuery, location="query")
@blueprint.response(200, TaskPageSchema)
def list_batch_tasks(query: dict[str, Any], batch_id: UUID) -> dict[str, Any]:
    """List a batch's tasks, in the order in which they were submitted."""
    with transaction() as session:
        _find(session, batch_id)
    return routes.list_page(**query, batch_id=batch_id)


@blueprint.get("/batch/<uuid:batch_id>/results")
@requires("jobs:read")
@fails(404)
@streams(NDJSON, "A task a line, in the order in which they were submitted.")
def get_results(batch_id: UUID) -> Response:
    """Give every task of a batch as it is now, a line each."""
    with transaction() as session:
        _find(session, batch_id)
    return Response(_result_lines(account_id(), batch_id), mimetype=NDJSON)


@blueprint.post("/batch/<uuid:batch_id>/cancel")
@requires("jobs:write")
@fails(404)
@blueprint.response(202, BatchStatusSchema)
def cancel_batch(batch_id: UUID) -> dict[str, Any]:
    """Cancel every unfinished task of a batch."""
    with transaction() as session:
        _find(session, batch_id)
        batch_actions.cancel(session, account_id(), batch_id)
        acceptance.record_audit_event(session, "batches.canceled", str(batch_id))
        return views.batch_view(_find(session, batch_id))


@blueprint.post("/batch/<uuid:batch_id>/retry")
@requires("jobs:write")
@fails(404)
@blueprint.response(202, BatchStatusSchema)
def retry_batch(batch_id: UUID) -> dict[str, Any]:
    """Run every failed task of a batch again."""
    with transaction() as session:
        _find(session, batch_id)
        batch_actions.retry(session, account_id(), batch_id, attempts=config().max_attempts)
        acceptance.record_audit_event(session, "batches.retried", str(batch_id))
        shown = views.batch_view(_find(session, batch_id))
    acceptance.publish_queued()
    return shown


@contextmanager
def _read_slot() -> Iterator[None]:
    """Let few batches be read at once: each is megabytes and seconds of computing."""
    if not _read_slots.acquire(timeout=SLOT_SECONDS):
        raise Unavailable("Other batches are being read. Try again shortly.", views.RETRY_SECONDS)
    try:
        yield
    finally:
        _read_slots.release()


def _accept(session: Session, posted: PostedBatch, batch_import: BatchImport) -> StoredResponse:
    batch_import.insert(session, posted.rows, RowChecker(posted.spec.defaults, posted.strict))
    body = {
        "batch_id": batch_import.batch_id,
        "counts": views.state_counts({State.QUEUED: len(batch_import.ids)}),
        "task_ids": batch_import.ids,
        "skipped": [
            views.skipped_job_view(at, places) for at, places in sorted(batch_import.skipped.items())
        ],
    }
    location = {"Location": f"/v1/batch/{batch_import.batch_id}", "Retry-After": str(views.RETRY_SECONDS)}
    return StoredResponse(202, AcceptedBatchSchema().dump(body), location)


def _result_lines(owner: UUID, batch_id: UUID) -> Iterator[bytes]:
    """Give lines page by page; between two of them nothing is held, however slowly they are read."""
    wanted, after = listing.JobFilter(batch_id=batch_id), None
    while True:
        with transaction() as session:
            found, after = listing.list_jobs(session, owner, wanted, limit=PAGE_SIZE, after=after)
            shown = views.task_views(session, found)
        schema = TaskSchema()
        yield b"".join(json.dumps(schema.dump(one), ensure_ascii=False).encode() + b"\n" for one in shown)
        if after is None:
            return


def _find(session: Session, batch_id: UUID) -> BatchProgress:
    found = progress_queries.batch_progress(session, account_id(), batch_id)
    if found is None:
        raise NotFound("There is no such batch.")
    return found
