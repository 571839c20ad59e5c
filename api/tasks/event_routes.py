"""Routes of Server-Sent Events: the changes of a task, of a batch, or of all tasks of the account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from api.http.caller import account_id
from api.openapi.resource import Resource, stream_replies
from api.tasks import progress_queries, routes, sse_stream, task_changes
from api.tasks.task_changes import Topic
from shared.db import transaction
from shared.errors import NotFound

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response

blueprint = Resource("events", "Changes of tasks and batches, as Server-Sent Events.")
MAX_INITIAL_TASKS = 200  # tasks in an account stream's first events; the first poll delivers the others
EVENTS_DESCRIPTION = "`status` and `progress` events, and a comment every 15 s."
OVER_DESCRIPTION = "It has ended, and the client has its last event: do not reconnect."
LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string"},
    "description": "The id of the last event received; the stream starts with what has changed since.",
}


@blueprint.get("/tasks/<uuid:task_id>/events")
@blueprint.documented(
    scope="jobs:read",
    request_headers=(LAST_EVENT_ID,),
    stream=stream_replies(
        sse_stream.MEDIA_TYPE,
        f"The task each time it changes, until it has ended: {EVENTS_DESCRIPTION}",
        ended=OVER_DESCRIPTION,
    ),
    errors=(404,),
)
def watch_task(task_id: UUID) -> Response:
    """Watch a task until it has ended.

    Each event's data is the task as `GET /v1/tasks/{task_id}` shows it.
    """
    with transaction() as session:
        first = list(task_changes.job_events(session, [routes.find_job(session, task_id)]))
    return sse_stream.stream_response(Topic("task", task_id), first, acknowledged=sse_stream.last_event_id())


@blueprint.get("/batch/<uuid:batch_id>/events")
@blueprint.documented(
    scope="jobs:read",
    request_headers=(LAST_EVENT_ID,),
    stream=stream_replies(
        sse_stream.MEDIA_TYPE,
        f"The batch each time it changes, until it has finished: {EVENTS_DESCRIPTION}",
        ended=OVER_DESCRIPTION,
    ),
    errors=(404,),
)
def watch_batch(batch_id: UUID) -> Response:
    """Watch a batch until it has finished.

    Each event's data is the batch as `GET /v1/batch/{batch_id}` shows it.
    """
    with transaction() as session:
        progress = progress_queries.batch_progress(session, account_id(), batch_id)
    if progress is None:
        raise NotFound("There is no such batch.")
    return sse_stream.stream_response(
        Topic("batch", batch_id),
        [task_changes.batch_event(progress)],
        acknowledged=sse_stream.last_event_id(),
    )


@blueprint.get("/events")
@blueprint.documented(
    scope="jobs:read",
    request_headers=(LAST_EVENT_ID,),
    stream=stream_replies(
        sse_stream.MEDIA_TYPE,
        f"Each published or running task of the account, each time it changes: {EVENTS_DESCRIPTION}",
    ),
)
def watch_account() -> Response:
    """Watch all tasks of the account, from their publication until they have ended.

    The stream never ends. After a disconnect, `Last-Event-ID` resumes with what ended meanwhile, within an hour.
    """
    owner, acknowledged = account_id(), sse_stream.last_event_id()
    since = float(acknowledged) if acknowledged and re.fullmatch(r"\d{1,11}\.\d{3}", acknowledged) else None
    with transaction() as session:
        moment, rows = progress_queries.find_active(session, [owner])
        ids = dict.fromkeys(row.id for row in rows if row.ended_at is None or since is None)
        first = list(
            task_changes.task_events(session, list(ids)[:MAX_INITIAL_TASKS], task_changes.event_id_at(moment))
        )
    past = task_changes.past_events(owner, since) if since is not None else iter(())
    return sse_stream.stream_response(Topic("account", owner), first, acknowledged=None, past=past)
