"""Polls Postgres for changed tasks on behalf of all long polls and event streams of this process.

A few queries serve any number of waiting requests, which hold no database connection meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from api.security import logins
from api.tasks import progress_queries, task_changes
from api.tasks.account_feed import AccountFeeds
from shared.db import transaction
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.tasks.task_changes import Watcher
    from shared.accounts import Identity

log = logging.getLogger(__name__)
_stop_conditions: list[Callable[[], bool]] = []

POLL_SECONDS = 0.25  # between two polls
REVOCATION_SECONDS = 5.0  # between two checks for revoked keys and ended log-ins


def stop_when(ending: Callable[[], bool]) -> None:
    """End all waiting once this returns True; clients then reconnect to another process."""
    _stop_conditions[:] = [ending]


def is_stopping() -> bool:
    """Return whether this process is stopping."""
    return any(ending() for ending in _stop_conditions)


@dataclass(eq=False, slots=True)
class Waiter:
    """A long poll: it has one version of a task, and waits for another."""

    topic: task_changes.Topic
    version: int
    caller: Identity | None = None  # a long poll ends within a minute, so that it need not be checked
    changed: threading.Event = field(default_factory=threading.Event)
    wants_document: ClassVar[bool] = False

    def has_seen(self, task_id: UUID, version: int) -> bool:  # noqa: ARG002 (a waiter waits for one task)
        """Return whether this is the version that the client has."""
        return version == self.version

    def notify(self, _: task_changes.Event | None) -> None:
        """Wake up."""
        self.changed.set()

    def tick(self) -> None:
        """Wake up when this process stops; the request has a time limit of its own."""
        if is_stopping():
            self.changed.set()


class ChangePoller:
    """Delivers changes to all watchers. Its thread runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._feeds = AccountFeeds()
        self._polling = False

    def wait(self, task_id: UUID, version: int, seconds: float) -> None:
        """Wait until the task has another version than this one, at most so many seconds."""
        waiter = Waiter(task_changes.Topic("task", task_id), version)
        self.add(waiter)
        try:
            waiter.changed.wait(seconds)
        finally:
            self.remove(waiter)

    def add(self, watcher: Watcher) -> None:
        """Start delivering changes to this watcher."""
        with self._lock:
            self._watchers.add(watcher)
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, name="change-poller", daemon=True).start()

    def remove(self, watcher: Watcher) -> None:
        """Stop delivering changes to this watcher."""
        with self._lock:
            self._watchers.discard(watcher)

    def _poll(self) -> None:
        checked_at = time.monotonic()
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                # A copy: notified watchers remove themselves, and the set would change during iteration.
                watchers = list(self._watchers)
                if not watchers:
                    # Under the lock: a watcher that is added at this moment starts a new thread.
                    self._polling = False
                    return
            for watcher in watchers:
                watcher.tick()
            if time.monotonic() - checked_at > REVOCATION_SECONDS:
                _try_query(partial(_end_revoked, watchers=watchers))
                checked_at = time.monotonic()
            self._deliver(watchers)

    def _deliver(self, watchers: list[Watcher]) -> None:
        """Deliver changes. If the database fails, wake long polls, which query by themselves; streams keep waiting."""
        if not _try_query(lambda session: _deliver_changes(session, watchers, self._feeds)):
            for watcher in watchers:
                if not watcher.wants_document:
                    watcher.notify(None)


def _try_query(look: Callable[[Session], None]) -> bool:
    """Run the query and return whether it succeeded. It never raises: the thread must not die and strand its watchers."""
    try:
        with transaction() as session:
            look(session)
    except Unavailable:
        log.warning("change_poll_failed")
    # Anything at all: without this thread every stream of the process would go silent.
    except Exception:
        log.exception("change_poll_unexpected_error")
    else:
        return True
    return False


def _deliver_changes(session: Session, watchers: Iterable[Watcher], feeds: AccountFeeds) -> None:
    """Notify all watchers of versions that they have not seen."""
    by_kind: dict[str, dict[UUID, list[Watcher]]] = {"task": {}, "batch": {}, "account": {}}
    for watcher in watchers:
        by_kind[watcher.topic.kind].setdefault(watcher.topic.id, []).append(watcher)
    if by_kind["task"]:
        _deliver_tasks(session, by_kind["task"])
    if by_kind["batch"]:
        _deliver_batches(session, by_kind["batch"])
    feeds.deliver(session, by_kind["account"])


def _deliver_tasks(session: Session, watched: dict[UUID, list[Watcher]]) -> None:
    versions = progress_queries.job_versions(session, watched)
    unseen: dict[UUID, list[Watcher]] = {}
    for task_id, watchers in watched.items():
        version = versions.get(task_id)
        for watcher in watchers:
            if version is None or (not watcher.wants_document and not watcher.has_seen(task_id, version)):
                watcher.notify(None)
            elif not watcher.has_seen(task_id, version):
                unseen.setdefault(task_id, []).append(watcher)
    for event in task_changes.task_events(session, list(unseen)):
        for watcher in unseen[event.subject_id]:
            watcher.notify(event)


def _deliver_batches(session: Session, watched: dict[UUID, list[Watcher]]) -> None:
    batches = progress_queries.batches_progress(session, list(watched))
    for batch_id, watchers in watched.items():
        event = task_changes.batch_event(batches[batch_id]) if batch_id in batches else None
        for watcher in watchers:
            if event is None or not watcher.has_seen(batch_id, event.version):
                watcher.notify(event)


def _end_revoked(session: Session, watchers: list[Watcher]) -> None:
    """End the streams of callers whose key was revoked or whose log-in has ended since they connected."""
    revoked = logins.find_revoked(session, {watcher.caller for watcher in watchers if watcher.caller})
    for watcher in watchers:
        if watcher.caller in revoked:
            watcher.notify(None)


poller = ChangePoller()
