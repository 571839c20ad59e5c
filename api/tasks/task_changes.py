"""What changed of tasks, batches and accounts, for many watchers at once: a few queries, and a document made once for all.

A watcher knows which version it was told last, so that whatever happens between its first answer and its first news is
news. Several changes between two looks are one: the last one, which is always told.
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

PAGE_SIZE = 50  # that are made at once


@dataclass(frozen=True, slots=True)
class Topic:
    """What is watched."""

    kind: Literal["task", "batch", "account"]
    id: UUID


@dataclass(frozen=True, slots=True)
class Event:
    """One piece of news: of what, as which version, in which state, and its document."""

    subject_id: UUID
    version: int
    status: str
    id: str
    data: bytes
    final: bool = False  # whether nothing can come after it


class Watcher(Protocol):
    """Someone to whom news are brought."""

    topic: Topic
    caller: Identity | None  # who watches, where that may go on for long
    wants_document: ClassVar[bool]  # whether it is to be told what, and not only that

    def has_seen(self, task_id: UUID, version: int) -> bool:
        """Tell whether this is no news."""

    def notify(self, event: Event | None) -> None:
        """Take a piece of news; None: what is watched is gone, or has changed."""

    def tick(self) -> None:
        """Be asked now and then whether all is well."""


def task_events(session: Session, ids: Sequence[UUID], moment: str | None = None) -> Iterator[Event]:
    """Give the tasks as they are now. `moment` is the place in an account's stream; none: each task has its own."""
    for start in range(0, len(ids), PAGE_SIZE):
        yield from job_events(
            session, progress_queries.load_jobs(session, ids[start : start + PAGE_SIZE]), moment
        )


def past_events(account_id: UUID, since: float) -> Iterator[Event]:
    """Give what ended since a moment, the oldest first, a page at a time: between two of them nothing is held."""
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
    """Return a place in an account's stream as an event's id."""
    return f"{moment:.3f}"


def job_events(session: Session, jobs: Sequence[Job], moment: str | None = None) -> Iterator[Event]:
    """Give jobs as they are in these rows."""
    schema = TaskSchema()
    for job, shown in zip(jobs, views.task_views(session, jobs), strict=True):
        yield Event(
            subject_id=job.id,
            version=job.version,
            status=job.state,
            id=moment or str(job.version),
            data=_encode(schema.dump(shown)),
            final=moment is None and job.state in FINISHED,
        )


def batch_event(found: progress_queries.BatchProgress) -> Event:
    """Return how far a batch is; its version is made of what is told."""
    shown = views.batch_view(found)
    data = _encode(BatchStatusSchema().dump(shown))
    version = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    return Event(found.id, version, shown["status"], f"{version:x}", data, final=found.finished)


def _encode(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
