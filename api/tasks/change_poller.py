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

from api.accounts import logins
from api.tasks import task_changes
from api.tasks.account_feed import Feeds
from shared.db import transaction
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.tasks.task_changes import Watcher
    from shared.accounts import Identity

log = logging.getLogger(__name__)
_ending: list[Callable[[], bool]] = []

POLL_SECONDS = 0.25  # between two looks
GUARD_SECONDS = 5.0  # between two looks at whether all who watch would still be let in


def end_with(ending: Callable[[], bool]) -> None:
    """End all waiting once this says so: whoever waited comes again, to a process that stays."""
    _ending[:] = [ending]


def is_ending() -> bool:
    """Tell whether this process ends."""
    return any(ending() for ending in _ending)


@dataclass(eq=False, slots=True)
class Waiter:
    """Someone who knows one version of a task, and waits for another."""

    topic: task_changes.Topic
    version: int
    caller: Identity | None = None  # who waits is answered within a minute
    changed: threading.Event = field(default_factory=threading.Event)
    documented: ClassVar[bool] = False

    def knows(self, task_id: UUID, version: int) -> bool:  # noqa: ARG002 (a waiter waits for one task)
        """Tell whether this version is the known one."""
        return version == self.version

    def tell(self, _: task_changes.Event | None) -> None:
        """Wake up."""
        self.changed.set()

    def tick(self) -> None:
        """Wake up when this process ends. Else do nothing: whoever waits has a time limit of their own."""
        if is_ending():
            self.changed.set()


class Watch:
    """Brings news to all watchers. Its thread lives as long as anyone watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._feeds = Feeds()
        self._looking = False

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
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="watch", daemon=True).start()

    def remove(self, watcher: Watcher) -> None:
        """Bring this one nothing any more."""
        with self._lock:
            self._watchers.discard(watcher)

    def _look(self) -> None:
        guarded = time.monotonic()
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                watchers = list(self._watchers)
                if not watchers:
                    self._looking = False
                    return
            for watcher in watchers:
                watcher.tick()
            if time.monotonic() - guarded > GUARD_SECONDS:
                _tried(partial(_guard, watchers=watchers))
                guarded = time.monotonic()
            self._bring(watchers)

    def _bring(self, watchers: list[Watcher]) -> None:
        """Bring the news. Where none can be had, those who wait for one task will see for themselves; streams go on."""
        if not _tried(lambda session: task_changes.bring(session, watchers, self._feeds)):
            for watcher in watchers:
                if not watcher.documented:
                    watcher.tell(None)


def _tried(look: Callable[[Session], None]) -> bool:
    """Look into the database, and tell whether that was possible: the thread must not leave its watchers alone."""
    try:
        with transaction() as session:
            look(session)
    except Unavailable:
        log.warning("watch_impossible")
    except Exception:
        log.exception("watch_surprised")
    else:
        return True
    return False


def _guard(session: Session, watchers: list[Watcher]) -> None:
    """End the streams of those whose key was revoked, or whose log-in is over, since they came."""
    gone = logins.ended(session, {watcher.caller for watcher in watchers if watcher.caller})
    for watcher in watchers:
        if watcher.caller in gone:
            watcher.tell(None)


watch = Watch()
