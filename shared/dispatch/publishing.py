"""Publishes the ids of work to the broker. The row is the truth, so a message may be lost, late or doubled."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from celery.exceptions import CeleryError
from kombu.exceptions import KombuError

from shared import timers
from shared.broker import app, broker_priority
from shared.db import transaction
from shared.dispatch.fairness import Window, admit, try_admit
from shared.errors import Unavailable
from shared.lifecycle.publication import clear_mark
from shared.models import Job, Segment
from shared.names import TaskName
from shared.settings import settings

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from shared.dispatch.messages import Message

log = logging.getLogger(__name__)

SHORT_ATTEMPT_SECONDS = 0.05  # an attempt that ends sooner publishes once, at its end
CONFIRM_SECONDS = 5  # for a broker that confirms each message
# How long a busy account is tried again, and the pause between two tries; then it is left to the sweeper.
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 5.0, 0.02

# A job's first message has the job's id as its task id; those that follow have a suffix, so that Flower tells them apart.
_SUFFIXES = {TaskName.ASSEMBLE: ".assemble", TaskName.MIX: ".mix"}


def send(messages: Sequence[Message]) -> int:
    """Send messages of rows that are marked as published, and return how many the broker took.

    It stops at the first refusal. The marks of the rest are cleared, so that the sweeper publishes them.
    """
    sent = _send_all(messages) if messages else 0
    if refused := messages[sent:]:
        _clear_marks(refused)
    return sent


def _send_all(messages: Sequence[Message]) -> int:
    sent = 0
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
                sent += 1
    except (KombuError, CeleryError, OSError) as error:
        log.warning("publish_failed", extra={"reason": type(error).__name__, "published": sent})
    return sent


def _clear_marks(refused: Sequence[Message]) -> None:
    segments = [message.id for message in refused if message.task == TaskName.SEGMENT]
    # A mix has no mark: its job is marked for its assembly, and mixes the sound itself where nobody did.
    jobs = [message.id for message in refused if message.task not in (TaskName.SEGMENT, TaskName.MIX)]
    if jobs or segments:
        with transaction() as session:
            if jobs:
                clear_mark(session, Job, jobs)
            if segments:
                clear_mark(session, Segment, segments)


def publish(account_id: uuid.UUID, *, wait: bool = True) -> int | None:
    """Publish what the account's window admits, and return how much. Failures are logged and left to the sweeper.

    Where another transaction holds the window, wait for it, or return None if not `wait`.
    """
    admission = admit if wait else try_admit
    try:
        # Marked and committed before anything is sent: no row stays locked while the broker is waited for.
        with transaction() as session:
            admitted = admission(session, account_id, Window.of(settings()))
        return None if admitted is None else send(admitted)
    except Unavailable:
        log.warning("publish_unavailable", extra={"account_id": str(account_id)})
        return 0


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log any exception and end the block: what is not published now, the sweeper publishes."""
    try:
        yield
    except Exception:
        log.exception("publish_unexpected_error")


class Publisher:
    """Publishes in a thread of its own, so that its process does not wait for the broker.

    It queues accounts, not messages: an account in the queue is not added twice. A busy account goes to the queue's end, so
    that no other account waits for it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: dict[
            uuid.UUID, float
        ] = {}  # by account, in order: until when it is tried (time.monotonic)
        self._working = False
        self._thread: threading.Thread | None = None

    def push(self, account_id: uuid.UUID) -> None:
        """Queue an account and return at once."""
        with self._changed:
            self._queue[account_id] = time.monotonic() + BUSY_SECONDS
            # Not in __init__: a thread does not survive a fork, and workers fork after the import.
            if self._thread is None:
                # A daemon: a process that ends does not wait for it, and the sweeper publishes the rest.
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until the queue is empty: True, or False after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._working, seconds)

    def _run(self) -> None:
        while True:
            account_id, until = self._next()
            busy = False
            with _errors_logged():
                busy = publish(account_id, wait=False) is None
            # Without the pause this thread would spin while the other transaction lasts.
            if busy:
                time.sleep(BUSY_PAUSE_SECONDS)
            self._done(account_id, until if busy else None)

    def _next(self) -> tuple[uuid.UUID, float]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue)
            account_id = next(iter(self._queue))
            self._working = True
            return account_id, self._queue.pop(account_id)

    def _done(self, account_id: uuid.UUID, retry_until: float | None) -> None:
        with self._changed:
            if retry_until is not None and time.monotonic() < retry_until:
                self._queue.setdefault(account_id, retry_until)
            self._working = False
            self._changed.notify_all()


_publisher = Publisher()


def publish_soon(account_id: uuid.UUID) -> None:
    """Have this process's publisher thread publish for the account; return at once."""
    _publisher.push(account_id)


def flush(seconds: float) -> bool:
    """Wait until this process's publisher thread has nothing left to do: True, or False after so many seconds."""
    return _publisher.flush(seconds)


class Successors:
    """Publishes the work that one attempt makes room for: beside it, in the transaction that ends it, and after it."""

    def __init__(self, account_id: uuid.UUID) -> None:
        self._account_id = account_id
        self._due = False  # the window is to be looked at once more at the end
        self._tried = False  # the ending transaction has tried to admit
        self._admitted: list[Message] | None = None
        self._timer = timers.call_later(SHORT_ATTEMPT_SECONDS, partial(publish_soon, account_id))

    def admit(self, session: Session) -> None:
        """Admit, in the transaction that ends the attempt, what that makes room for. It is sent after the commit."""
        self._admitted, self._tried = None, True
        self._admitted = try_admit(session, self._account_id, Window.of(settings()))

    def publish_at_end(self) -> None:
        """Look at the window once more at the end: the attempt has made room."""
        self._due = True

    def close(self) -> None:
        """Publish what is left to be published.

        Where another transaction held the window when this attempt ended, the publisher thread looks again: mostly that one
        admitted all there is, and a worker's slot that waits for it stands still.
        """
        if timers.cancel(self._timer):
            self._due = True
        if self._admitted is not None:
            with _errors_logged():
                send(self._admitted)
        elif self._due and self._tried:
            publish_soon(self._account_id)
        elif self._due:
            with _errors_logged():
                publish(self._account_id)


@contextmanager
def publishing_successors(account_id: uuid.UUID) -> Iterator[Successors]:
    """Publish what a claimed attempt makes room for, while the block works and when it is left.

    A block shorter than 50 ms publishes once, at its end: a second look within a moment would find nothing more.
    """
    successors = Successors(account_id)
    try:
        yield successors
    finally:
        successors.close()
