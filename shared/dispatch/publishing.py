"""Publishes the ids of work to the broker. The row is the truth, so a message may be lost, late or doubled."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from sqlalchemy import update

from shared import timers
from shared.broker import app, broker_priority
from shared.db import transaction
from shared.dispatch.fairness import Window, admit, try_admit
from shared.errors import Unavailable
from shared.models import Job, Segment
from shared.names import TaskName
from shared.settings import settings

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.orm import Session

    from shared.dispatch.messages import Message

log = logging.getLogger(__name__)

AT_ONCE_SECONDS = 0.05  # work that is over within them is over at once
CONFIRM_SECONDS = 5  # for a broker that confirms what it took
# How long work waits for what is published beside it. Past it the work goes on: nobody publishes the same twice.
PUBLISHING_SECONDS = 30.0
# How long an account that somebody else is at is tried again, and after which pause; then it is left to the sweeper.
BUSY_SECONDS, BUSY_PAUSE = 5.0, 0.02


# The job's first task has the job's own id; what follows it has one that begins with it.
_SUFFIXES = {TaskName.ASSEMBLE: ".assemble", TaskName.MIX: ".mix"}


def send(messages: Iterable[Message]) -> list[Message]:
    """Publish and return what the broker took. It stops at the first refusal: the sweeper publishes the rest."""
    taken: list[Message] = []
    try:
        with app.producer_pool.acquire(block=True, timeout=5) as producer:
            for message in messages:
                suffix = _SUFFIXES.get(message.task, "")
                app.send_task(
                    message.task,
                    args=[str(message.id)],
                    task_id=f"{message.id}{suffix}",
                    root_id=str(message.job_id),
                    headers={"request_id": message.request_id, "job_id": str(message.job_id)},
                    priority=broker_priority(message.priority),
                    confirm_timeout=CONFIRM_SECONDS,
                    producer=producer,
                )
                taken.append(message)
    except (KombuError, CeleryError, OSError) as error:
        log.warning("publish_failed", extra={"reason": type(error).__name__, "published": len(taken)})
    return taken


def unmark(session: Session, messages: Sequence[Message]) -> None:
    """Note down that these were not published after all."""
    jobs = [message.id for message in messages if message.task != TaskName.SEGMENT]
    segments = [message.id for message in messages if message.task == TaskName.SEGMENT]
    if jobs:
        session.execute(update(Job).where(Job.id.in_(jobs)).values(published_at=None))
    if segments:
        session.execute(update(Segment).where(Segment.id.in_(segments)).values(published_at=None))


def publish(account_id: uuid.UUID, *, waits: bool = True) -> int | None:
    """Publish what the account's window allows, and return how much. Failures are logged and left to the sweeper.

    Where somebody else is at the window it `waits` for them, or leaves the account to them: None.
    """
    look = admit if waits else try_admit
    try:
        # Marked first, so that nobody else publishes the same, and no row is locked while the broker is asked.
        with transaction() as session:
            admitted = look(session, account_id, Window.of(settings()))
        return None if admitted is None else send_marked(admitted)
    except Unavailable:
        log.warning("publish_impossible", extra={"account_id": str(account_id)})
        return 0


def send_marked(messages: Sequence[Message]) -> int:
    """Publish what is marked as published, and return how much was; of the rest the mark is taken away."""
    taken = send(messages) if messages else []
    if len(taken) < len(messages):
        with transaction() as session:
            unmark(session, messages[len(taken) :])
    return len(taken)


@contextmanager
def _outlived() -> Iterator[None]:
    """Let no surprise through: the sweeper publishes what is left."""
    try:
        yield
    except Exception:
        log.exception("publisher_surprised")


def _publish_whatever_comes(account_id: uuid.UUID) -> None:
    with _outlived():
        publish(account_id)


class Publishing:
    """Publishes what a claimed piece of work has made room for, beside the work; and what its end has, after it.

    Work that is over at once is published for once, at its end: to ask twice within a moment finds nothing more.
    """

    def __init__(self, account_id: uuid.UUID) -> None:
        self._account_id = account_id
        self._due = False
        self._tried = False
        self._marked: list[Message] | None = None
        self._thread = threading.Thread(
            target=copy_context().run, args=(_publish_whatever_comes, account_id), name="publish", daemon=True
        )
        self._soon = timers.call_later(AT_ONCE_SECONDS, self._thread.start)

    def mark(self, session: Session) -> None:
        """Mark, in the transaction that ends the work, what that makes room for. It is sent when that is committed."""
        self._marked, self._tried = None, True
        self._marked = try_admit(session, self._account_id, Window.of(settings()))

    def again(self) -> None:
        """Publish at the end too: the work has made room once more."""
        self._due = True

    def end(self) -> None:
        """Publish what is left to be published; return when nothing is, or when it takes too long.

        Where others of the account were at it, it is looked at once more, and beside what this process does next: most
        times they found all that there is, and a slot that waits for them stands still.
        """
        if timers.cancel(self._soon):
            self._due = True
        else:
            self._thread.join(PUBLISHING_SECONDS)
        if self._marked is not None:
            with _outlived():
                send_marked(self._marked)
        elif self._due and self._tried:
            _beside.push(self._account_id)
        elif self._due:
            _publish_whatever_comes(self._account_id)


@contextmanager
def publishing(account_id: uuid.UUID) -> Iterator[Publishing]:
    """Publish while the block is at work, which need not wait for it; when the block is left, it is done."""
    beside = Publishing(account_id)
    try:
        yield beside
    finally:
        beside.end()


class Publisher:
    """Publishes beside what its process does, so that none of it waits for the broker.

    It holds accounts, not messages: an account that is waiting to be looked at need not be added twice. One that somebody
    else is at is looked at again after the others, so that none of them waits for it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[uuid.UUID, float] = {}  # until when they are tried, in the order they came
        self._at_work = False
        self._thread: threading.Thread | None = None

    def push(self, account_id: uuid.UUID) -> None:
        """Have the account looked at, and return at once. The thread starts with the first one, after any fork."""
        with self._changed:
            self._waiting[account_id] = time.monotonic() + BUSY_SECONDS
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Return when every account has been looked at: True. False when so many seconds were too few."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._at_work, seconds)

    def _run(self) -> None:
        while True:
            account_id, until = self._next()
            busy = False
            with _outlived():
                busy = publish(account_id, waits=False) is None
            if busy:
                time.sleep(BUSY_PAUSE)
            self._done(account_id, until if busy else None)

    def _next(self) -> tuple[uuid.UUID, float]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            account_id = next(iter(self._waiting))
            self._at_work = True
            return account_id, self._waiting.pop(account_id)

    def _done(self, account_id: uuid.UUID, again_until: float | None) -> None:
        with self._changed:
            if again_until is not None and time.monotonic() < again_until:
                self._waiting.setdefault(account_id, again_until)
            self._at_work = False
            self._changed.notify_all()


_beside = Publisher()


def flush(seconds: float) -> bool:
    """Return when this process has published what its work has left to be published beside it; False when it takes longer."""
    return _beside.flush(seconds)
