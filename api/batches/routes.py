"""Routes of /v1/batch: submit, progress, tasks, results, cancel, retry."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Response

from api import audit, publishing
from api.batches import batch_actions
from api.batches.batch_import import BatchImport
from api.batches.body_formats import BODY, NDJSON, BatchQuery, parse_body, receive_body
from api.batches.row_checking import RowChecker
from api.http import idempotency
from api.http.caller import account_id
from api.http.idempotency import StoredResponse
from api.http.query_params import TasksQuery
from api.http.request_context import config
from api.openapi.resource import Reply, Resource, stream_replies
from api.schemas.task import AcceptedBatchSchema, BatchStatusSchema, TaskPageSchema, TaskSchema
from api.tasks import progress_queries, routes, views
from shared.db import transaction
from shared.errors import NotFound, Unavailable
from shared.lifecycle import listing
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.batches.body_formats import PostedBatch
    from api.tasks.progress_queries import BatchProgress

blueprint = Resource("batch", "Many jobs in one request.")
PAGE_SIZE = 100  # tasks that are in memory at a time while results are streamed
SLOT_SECONDS = 20.0
_read_slots = threading.BoundedSemaphore(2)


@blueprint.post("/batch")
@blueprint.documented(
    scope="jobs:write",
    query=BatchQuery,
    body=BODY,
    replies={202: Reply(AcceptedBatchSchema, headers=("Location", "Retry-After", "Idempotent-Replayed"))},
    errors=(422,),
    idempotent=True,
)
def create_batch(query: dict[str, Any]) -> Response:
    """Accept many jobs: as JSON, as NDJSON with a job per line, or as CSV whose lines fill a template.

    If any job is invalid, none are accepted and all errors are listed. With `on_invalid: skip` the valid ones are accepted.
    """
    body = receive_body(query)
    # Held until the jobs are inserted, since the body stays in memory until then.
    with _read_slot():
        posted = parse_body(query, body)
        batch_import = BatchImport.start(posted.spec)
        with transaction() as session:
            answer = idempotency.run_once(
                session, posted.fingerprint, lambda: _accept(session, posted, batch_import)
            )
    publishing.publish_accepted(answer, batch_import.kinds)
    return idempotency.to_response(answer)


@blueprint.get("/batch/<uuid:batch_id>")
@blueprint.documented(scope="jobs:read", replies={200: BatchStatusSchema}, errors=(404,))
def get_batch(batch_id: UUID) -> dict[str, Any]:
    """Show the progress of a batch."""
    with transaction() as session:
        return views.batch_view(_find(session, batch_id))


@blueprint.get("/batch/<uuid:batch_id>/tasks")
@blueprint.documented(scope="jobs:read", query=TasksQuery, replies={200: TaskPageSchema}, errors=(404,))
def list_batch_tasks(query: dict[str, Any], batch_id: UUID) -> dict[str, Any]:
    """List a batch's tasks in the order of submission."""
    with transaction() as session:
        _find(session, batch_id)
    return routes.list_page(**query, batch_id=batch_id)


@blueprint.get("/batch/<uuid:batch_id>/results")
@blueprint.documented(
    scope="jobs:read",
    stream=stream_replies(NDJSON, "One task per line, in the order of submission."),
    errors=(404,),
)
def get_results(batch_id: UUID) -> Response:
    """Stream the current state of every task of a batch, one per line."""
    with transaction() as session:
        _find(session, batch_id)
    return Response(_result_lines(account_id(), batch_id), mimetype=NDJSON)


@blueprint.post("/batch/<uuid:batch_id>/cancel")
@blueprint.documented(scope="jobs:write", replies={202: BatchStatusSchema}, errors=(404,))
def cancel_batch(batch_id: UUID) -> dict[str, Any]:
    """Cancel every unfinished task of a batch."""
    with transaction() as session:
        _find(session, batch_id)
        batch_actions.cancel(session, account_id(), batch_id)
        audit.record(session, "batches.canceled", str(batch_id))
        return views.batch_view(_find(session, batch_id))


@blueprint.post("/batch/<uuid:batch_id>/retry")
@blueprint.documented(scope="jobs:write", replies={202: BatchStatusSchema}, errors=(404,))
def retry_batch(batch_id: UUID) -> dict[str, Any]:
    """Run every failed task of a batch again."""
    with transaction() as session:
        _find(session, batch_id)
        batch_actions.retry(session, account_id(), batch_id, attempts=config().max_attempts)
        audit.record(session, "batches.retried", str(batch_id))
        document = views.batch_view(_find(session, batch_id))
    publishing.publish_queued()
    return document


@contextmanager
def _read_slot() -> Iterator[None]:
    """Hold one of the few slots for reading batches: each takes megabytes of memory and seconds of CPU."""
    if not _read_slots.acquire(timeout=SLOT_SECONDS):
        raise Unavailable(
            "Too many batches are being read at the moment. Try again in a second.", views.RETRY_SECONDS
        )
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
        "skipped": [_skipped_job(at, places) for at, places in sorted(batch_import.skipped.items())],
    }
    location = {"Location": f"/v1/batch/{batch_import.batch_id}", "Retry-After": str(views.RETRY_SECONDS)}
    return StoredResponse(202, AcceptedBatchSchema().dump(body), location)


def _result_lines(owner: UUID, batch_id: UUID) -> Iterator[bytes]:
    """Yield the lines page by page. Between pages no connection is held, since a slow reader may take hours."""
    jobs_filter, after = listing.JobFilter(batch_id=batch_id), None
    while True:
        with transaction() as session:
            jobs, after = listing.list_jobs(session, owner, jobs_filter, limit=PAGE_SIZE, after=after)
            documents = views.task_views(session, jobs)
        schema = TaskSchema()
        yield b"".join(
            json.dumps(schema.dump(task), ensure_ascii=False).encode() + b"\n" for task in documents
        )
        if after is None:
            return


def _find(session: Session, batch_id: UUID) -> BatchProgress:
    progress = progress_queries.batch_progress(session, account_id(), batch_id)
    if progress is None:
        raise NotFound("There is no such batch.")
    return progress


def _skipped_job(at: int, places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return a skipped job: its index in the request, and its errors."""
    return {"index": at, "errors": [{"pointer": pointer, "detail": detail} for pointer, detail in places]}
