"""Nudges: publish the id of what is to be done. The row is the truth, so a nudge may be lost, late or doubled."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from sqlalchemy import func, update

from shared.broker import app
from shared.db import transaction
from shared.errors import Unavailable
from shared.models import Job, Segment
from shared.names import TASK_OF_KIND, TaskName

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Nudge:
    """One message: a task's name and the id that it carries. `job_id` and `request_id` are for logs and Flower."""

    task: TaskName
    id: uuid.UUID
    job_id: uuid.UUID
    request_id: str | None = None


def of_job(job_id: uuid.UUID, kind: str, request_id: str | None = None) -> Nudge:
    """Return the nudge that starts a job; Celery's task id is the job's own id."""
    return Nudge(TASK_OF_KIND[kind], job_id, job_id, request_id)


def of_assembly(job_id: uuid.UUID, request_id: str | None = None) -> Nudge:
    """Return the nudge that has a rendered video assembled."""
    return Nudge(TaskName.ASSEMBLE, job_id, job_id, request_id)


def of_segment(segment_id: uuid.UUID, job_id: uuid.UUID, request_id: str | None = None) -> Nudge:
    """Return the nudge that has a segment rendered."""
    return Nudge(TaskName.SEGMENT, segment_id, job_id, request_id)


def send(nudges: Iterable[Nudge]) -> list[Nudge]:
    """Publish and return what the broker took. It stops at the first refusal: the sweeper publishes the rest."""
    taken: list[Nudge] = []
    try:
        with app.producer_pool.acquire(block=True, timeout=5) as producer:
            for nudge in nudges:
                suffix = ".assemble" if nudge.task == TaskName.ASSEMBLE else ""
                app.send_task(
                    nudge.task,
                    args=[str(nudge.id)],
                    task_id=f"{nudge.id}{suffix}",
                    root_id=str(nudge.job_id),
                    headers={"request_id": nudge.request_id, "job_id": str(nudge.job_id)},
                    producer=producer,
                )
                taken.append(nudge)
    except (KombuError, CeleryError, OSError) as error:
        log.warning("publish_failed", extra={"reason": type(error).__name__, "published": len(taken)})
    return taken


def mark(session: Session, nudges: Sequence[Nudge]) -> None:
    """Note down what is published, so that the sweeper leaves it alone for a while."""
    _set_published(session, nudges, func.now())


def unmark(session: Session, nudges: Sequence[Nudge]) -> None:
    """Note down that these were not published after all."""
    _set_published(session, nudges, None)


def _set_published(session: Session, nudges: Sequence[Nudge], when: Any) -> None:
    jobs = [nudge.id for nudge in nudges if nudge.task != TaskName.SEGMENT]
    segments = [nudge.id for nudge in nudges if nudge.task == TaskName.SEGMENT]
    if jobs:
        session.execute(update(Job).where(Job.id.in_(jobs)).values(published_at=when))
    if segments:
        session.execute(update(Segment).where(Segment.id.in_(segments)).values(published_at=when))


def publish(nudges: Sequence[Nudge]) -> None:
    """Publish and note it down. Failures are logged and left to the sweeper."""
    taken = send(nudges)
    if not taken:
        return
    try:
        with transaction() as session:
            mark(session, taken)
    except Unavailable:
        log.warning("publish_unmarked", extra={"published": len(taken)})


class Publisher:
    """Publishes beside the requests, so that none of them waits for the broker.

    The queue is bounded: what does not fit is left to the sweeper, as is all that a killed process had in it.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._queue: queue.Queue[Nudge] = queue.Queue(maxsize=size)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def push(self, nudges: Iterable[Nudge]) -> None:
        """Hand nudges over and return at once. The thread starts with the first one, after any fork."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()
        for nudge in nudges:
            try:
                self._queue.put_nowait(nudge)
            except queue.Full:
                log.warning("publish_queue_full")
                return

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < 500 and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                publish(batch)
            except Exception:  # the thread must outlive any surprise; the sweeper publishes what is left
                log.exception("publisher_surprised")
