"""Looks for changes, for any number of requests by a few queries now and then.

Who waits holds nothing: no connection, no transaction.
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

POLL_SECONDS = 0.25  # between two looks
REVOCATION_SECONDS = 5.0  # between two looks at whether all who watch would still be let in


def stop_when(ending: Callable[[], bool]) -> None:
    """End all waiting once this says so: whoever waited comes again, to a process that stays."""
    _stop_conditions[:] = [ending]


def is_stopping() -> bool:
    """Tell whether this process ends."""
    return any(ending() for ending in _stop_conditions)


@dataclass(eq=False, slots=True)
class Waiter:
    """Someone who knows one version of a task, and waits for another."""

    topic: task_changes.Topic
    version: int
    caller: Identity | None = None  # who waits is answered within a minute
    changed: threading.Event = field(default_factory=threading.Event)
    wants_document: ClassVar[bool] = False

    def has_seen(self, task_id: UUID, version: int) -> bool:  # noqa: ARG002 (a waiter waits for one task)
        """Tell whether this version is the known one."""
        return version == self.version

    def notify(self, _: task_changes.Event | None) -> None:
        """Wake up."""
        self.changed.set()

    def tick(self) -> None:
        """Wake up when this process ends. Else do nothing: whoever waits has a time limit of their own."""
        if is_stopping():
            self.changed.set()


class ChangePoller:
    """Brings news to all watchers. Its thread lives as long as anyone watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._feeds = AccountFeeds()
        self._polling = False

    def wait(self, task_id: UUID, version: int, seconds: float) -> None:
        """Return when the task has another version than this one, or after these seconds."""
        waiter = Waiter(task_changes.Topic("task", task_id), version)
        self.add(waiter)
        try:
            waiter.changed.wait(seconds)
        finally:
            self.remove(waiter)

    def add(self, watcher: Watcher) -> None:
        """Bring news to this one from now on."""
        with self._lock:
            self._watchers.add(watcher)
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, name="change-poller", daemon=True).start()

    def remove(self, watcher: Watcher) -> None:
        """Bring this one nothing any more."""
        with self._lock:
            self._watchers.discard(watcher)

    def _poll(self) -> None:
        guarded = time.monotonic()
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                watchers = list(self._watchers)
                if not watchers:
                    self._polling = False
                    return
            for watcher in watchers:
                watcher.tick()
            if time.monotonic() - guarded > REVOCATION_SECONDS:
                _try_query(partial(_end_revoked, watchers=watchers))
                guarded = time.monotonic()
            self._deliver(watchers)

    def _deliver(self, watchers: list[Watcher]) -> None:
        """Bring the news. Where none can be had, those who wait for one task will see for themselves; streams go on."""
        if not _try_query(lambda session: _deliver_changes(session, watchers, self._feeds)):
            for watcher in watchers:
                if not watcher.wants_document:
                    watcher.notify(None)


def _try_query(look: Callable[[Session], None]) -> bool:
    """Look into the database, and tell whether that was possible: the thread must not leave its watchers alone."""
    try:
        with transaction() as session:
            look(session)
    except Unavailable:
        log.warning("change_poll_failed")
    except Exception:
        log.exception("change_poll_unexpected_error")
    else:
        return True
    return False


def _deliver_changes(session: Session, watchers: Iterable[Watcher], feeds: AccountFeeds) -> None:
    """Tell all watchers what they do not know yet."""
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
    wanted: dict[UUID, list[Watcher]] = {}
    for task_id, watchers in watched.items():
        version = versions.get(task_id)
        for one in watchers:
            if version is None or (not one.wants_document and not one.has_seen(task_id, version)):
                one.notify(None)
            elif not one.has_seen(task_id, version):
                wanted.setdefault(task_id, []).append(one)
    for event in task_changes.task_events(session, list(wanted)):
        for one in wanted[event.subject_id]:
            one.notify(event)


def _deliver_batches(session: Session, watched: dict[UUID, list[Watcher]]) -> None:
    found = progress_queries.batches_progress(session, list(watched))
    for batch_id, watchers in watched.items():
        event = task_changes.batch_event(found[batch_id]) if batch_id in found else None
        for one in watchers:
            if event is None or not one.has_seen(batch_id, event.version):
                one.notify(event)


def _end_revoked(session: Session, watchers: list[Watcher]) -> None:
    """End the streams of those whose key was revoked, or whose log-in is over, since they came."""
    gone = logins.find_revoked(session, {watcher.caller for watcher in watchers if watcher.caller})
    for watcher in watchers:
        if watcher.caller in gone:
            watcher.notify(None)


poller = ChangePoller()
