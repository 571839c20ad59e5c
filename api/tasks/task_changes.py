"""Events about changed tasks and batches: their values, and how they are built from rows, once for all watchers.

Events carry versions, so that a change between a watcher's first response and the first poll is not lost. Several changes
between two polls become one event, with the last state.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol
from uuid import UUID

from api.schemas.task import BatchStatusSchema, TaskSchema
from api.tasks import progress_queries, views
from shared.db import transaction
from shared.states import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from sqlalchemy.orm import Session

    from shared.accounts import Identity
    from shared.models import Job

PAGE_SIZE = 50  # jobs that are loaded at a time


@dataclass(frozen=True, slots=True)
class Topic:
    """The subject that is watched."""

    kind: Literal["task", "batch", "account"]
    id: UUID


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a task or batch: its version, its status and its JSON document."""

    subject_id: UUID
    version: int
    status: str
    id: str
    data: bytes
    final: bool = False  # whether it is the last event of its subject


class Watcher(Protocol):
    """A long poll or an event stream, which the change poller notifies."""

    topic: Topic
    caller: Identity | None  # set for streams, which end when its credentials are revoked
    wants_document: ClassVar[bool]  # whether it needs the document, and not only the fact of a change

    def has_seen(self, task_id: UUID, version: int) -> bool:
        """Return whether it has this version already."""

    def notify(self, event: Event | None) -> None:
        """Receive an event; None means that the subject is gone or has changed."""

    def tick(self) -> None:
        """Check its own health; called on every poll."""


def task_events(session: Session, ids: Sequence[UUID], event_id: str | None = None) -> Iterator[Event]:
    """Yield events of the tasks' current states, with a position in an account's stream as id, or each task's version."""
    for start in range(0, len(ids), PAGE_SIZE):
        yield from job_events(
            session, progress_queries.load_jobs(session, ids[start : start + PAGE_SIZE]), event_id
        )


def past_events(account_id: UUID, since: float) -> Iterator[Event]:
    """Yield events of the jobs that ended since a time, oldest first. Between pages no connection is held."""
    after = (datetime.fromtimestamp(since - progress_queries.COMMIT_LAG_SECONDS, UTC), UUID(int=0))
    while True:
        with transaction() as session:
            rows = progress_queries.find_ended(session, account_id, after, most=PAGE_SIZE)
            jobs = progress_queries.load_jobs(session, [job_id for _, job_id in rows])
            events = list(job_events(session, jobs, event_id_at(rows[0][0].timestamp()) if rows else None))
        yield from events
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1]


def event_id_at(moment: float) -> str:
    """Return the event id of a position in an account's stream."""
    return f"{moment:.3f}"


def job_events(session: Session, jobs: Sequence[Job], event_id: str | None = None) -> Iterator[Event]:
    """Yield events of these jobs."""
    schema = TaskSchema()
    for job, document in zip(jobs, views.task_views(session, jobs), strict=True):
        yield Event(
            subject_id=job.id,
            version=job.version,
            status=job.state,
            id=event_id or str(job.version),
            data=_encode(schema.dump(document)),
            final=event_id is None and job.state in FINISHED,
        )


def batch_event(progress: progress_queries.BatchProgress) -> Event:
    """Return the event of a batch's progress; its version is a hash of its document."""
    document = views.batch_view(progress)
    data = _encode(BatchStatusSchema().dump(document))
    # Batches have no version column; a hash of the document changes exactly when a client would see a change.
    version = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    return Event(progress.id, version, document["status"], f"{version:x}", data, final=progress.finished)


def _encode(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
