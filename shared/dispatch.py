"""Nudges: publish the id of what is to be done. The row is the truth, so a nudge may be lost, late or doubled."""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from sqlalchemy import update

from shared.broker import app, priority
from shared.db import transaction
from shared.errors import Unavailable
from shared.models import Job, Segment
from shared.names import TaskName
from shared.settings import settings

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

AT_ONCE_SECONDS = 0.02  # work that is over within them is over at once
CONFIRM_SECONDS = 5  # for a broker that confirms what it took
# How long work waits for what is published beside it. Past it the work goes on: nobody publishes the same twice.
PUBLISHING_SECONDS = 30.0


class Level(IntEnum):
    """How soon a message is taken: the lowest first. They are steps that Celery's Redis transport has."""

    FIRST = 0
    NORMAL = 3
    LAST = 6


# The job's first task has the job's own id; what follows it has one that begins with it.
_SUFFIXES = {TaskName.ASSEMBLE: ".assemble", TaskName.MIX: ".mix"}


@dataclass(frozen=True, slots=True)
class Nudge:
    """One message: a task's name and the id that it carries. The rest is for logs, for Flower and for its place."""

    task: TaskName
    id: uuid.UUID
    job_id: uuid.UUID
    account_id: uuid.UUID
    request_id: str | None = None
    level: Level = Level.NORMAL


def of_mix(job: Job) -> Nudge:
    """Return the nudge that has a planned job's sound mixed; it is taken first, since assembly waits for nothing."""
    return Nudge(TaskName.MIX, job.id, job.id, job.account_id, job.request_id, Level.FIRST)


def send(nudges: Iterable[Nudge]) -> list[Nudge]:
    """Publish and return what the broker took. It stops at the first refusal: the sweeper publishes the rest."""
    taken: list[Nudge] = []
    try:
        with app.producer_pool.acquire(block=True, timeout=5) as producer:
            for nudge in nudges:
                suffix = _SUFFIXES.get(nudge.task, "")
                app.send_task(
                    nudge.task,
                    args=[str(nudge.id)],
                    task_id=f"{nudge.id}{suffix}",
                    root_id=str(nudge.job_id),
                    headers={"request_id": nudge.request_id, "job_id": str(nudge.job_id)},
                    priority=priority(nudge.level),
                    confirm_timeout=CONFIRM_SECONDS,
                    producer=producer,
                )
                taken.append(nudge)
    except (KombuError, CeleryError, OSError) as error:
        log.warning("publish_failed", extra={"reason": type(error).__name__, "published": len(taken)})
    return taken


def unmark(session: Session, nudges: Sequence[Nudge]) -> None:
    """Note down that these were not published after all."""
    jobs = [nudge.id for nudge in nudges if nudge.task != TaskName.SEGMENT]
    segments = [nudge.id for nudge in nudges if nudge.task == TaskName.SEGMENT]
    if jobs:
        session.execute(update(Job).where(Job.id.in_(jobs)).values(published_at=None))
    if segments:
        session.execute(update(Segment).where(Segment.id.in_(segments)).values(published_at=None))


def publish(account_id: uuid.UUID) -> int:
    """Publish what the account's window allows, and return how much. Failures are logged and left to the sweeper."""
    from shared.window import Window, admit  # noqa: PLC0415 (it makes the nudges that are sent here)

    config = settings()
    window = Window(unclaimed=config.account_unclaimed, running=config.account_running)
    try:
        # Marked first, so that nobody else publishes the same, and no row is locked while the broker is asked.
        with transaction() as session:
            admitted = admit(session, account_id, window)
        taken = send(admitted) if admitted else []
        if len(taken) < len(admitted):
            with transaction() as session:
                unmark(session, admitted[len(taken) :])
    except Unavailable:
        log.warning("publish_impossible", extra={"account_id": str(account_id)})
        return 0
    return len(taken)


def _publish_whatever_comes(account_id: uuid.UUID) -> None:
    """Publish, and outlive any surprise: the sweeper publishes what is left."""
    try:
        publish(account_id)
    except Exception:
        log.exception("publisher_surprised")


class Publishing:
    """Publishes what a claimed piece of work has made room for, beside the work; and what its end has, after it.

    Work that is over at once is published for once, at its end: to ask twice within a moment finds nothing more.
    """

    def __init__(self, account_id: uuid.UUID) -> None:
        self._account_id = account_id
        self._over = threading.Event()
        self._due = True
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="publish", daemon=True
        )

    def again(self) -> None:
        """Publish at the end too: the work has made room once more."""
        self._over.set()
        self._thread.join(PUBLISHING_SECONDS)
        self._due = True

    def begin(self) -> None:
        """Publish soon, unless it ends before."""
        self._thread.start()

    def end(self) -> None:
        """Publish what is left to be published; return when nothing is, or when it takes too long."""
        self._over.set()
        self._thread.join(PUBLISHING_SECONDS)
        if self._due:
            _publish_whatever_comes(self._account_id)

    def _run(self) -> None:
        if not self._over.wait(AT_ONCE_SECONDS):
            self._due = False
            _publish_whatever_comes(self._account_id)


@contextmanager
def publishing(account_id: uuid.UUID) -> Iterator[Publishing]:
    """Publish while the block is at work, which need not wait for it; when the block is left, it is done."""
    beside = Publishing(account_id)
    beside.begin()
    try:
        yield beside
    finally:
        beside.end()


class Publisher:
    """Publishes beside the requests, so that none of them waits for the broker.

    It holds accounts, not messages: an account that is waiting to be looked at need not be added twice.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[uuid.UUID] = queue.SimpleQueue()
        self._waiting: set[uuid.UUID] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def push(self, account_id: uuid.UUID) -> None:
        """Have the account looked at, and return at once. The thread starts with the first one, after any fork."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()
            if account_id in self._waiting:
                return
            self._waiting.add(account_id)
        self._queue.put(account_id)

    def _run(self) -> None:
        while True:
            account_id = self._queue.get()
            with self._lock:
                self._waiting.discard(account_id)
            _publish_whatever_comes(account_id)
