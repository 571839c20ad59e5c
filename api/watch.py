"""Waits for tasks to change, for any number of requests by one query now and then."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared import listing
from shared.db import transaction
from shared.errors import Unavailable

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # between two looks


@dataclass(eq=False, slots=True)
class Waiter:
    """Someone who knows one version of a task, and waits for another."""

    task_id: UUID
    version: int
    changed: threading.Event = field(default_factory=threading.Event)


class Watch:
    """Looks at the rows of all tasks that someone waits for. Its thread lives as long as anyone waits.

    Who waits holds nothing: no connection, no transaction.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: set[Waiter] = set()
        self._looking = False

    def wait(self, task_id: UUID, version: int, seconds: float) -> None:
        """Return when the task has another version than this one, or after these seconds."""
        waiter = Waiter(task_id, version)
        with self._lock:
            self._waiters.add(waiter)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="watch", daemon=True).start()
        try:
            waiter.changed.wait(seconds)
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _look(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                waiters = list(self._waiters)
                if not waiters:
                    self._looking = False
                    return
            for waiter in self._moved(waiters):
                waiter.changed.set()

    def _moved(self, waiters: list[Waiter]) -> list[Waiter]:
        """Return those whose task changed, or is gone. Where it cannot be told, all: they will see for themselves."""
        try:
            with transaction() as session:
                versions = listing.versions(session, {waiter.task_id for waiter in waiters})
        except Unavailable:
            return waiters
        except Exception:  # the thread must not leave its waiters alone
            log.exception("watch_surprised")
            return waiters
        return [waiter for waiter in waiters if versions.get(waiter.task_id) != waiter.version]
