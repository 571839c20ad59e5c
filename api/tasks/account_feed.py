"""Event feeds of whole accounts: each poll finds all changes, and delivers a limited number of documents per account.

So thousands of jobs that end at one moment are all reported, and do not delay other watchers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from api.tasks import progress_queries, task_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.tasks.progress_queries import ActiveJob
    from api.tasks.task_changes import Watcher

MAX_DOCUMENTS_PER_POLL = 250  # documents that one poll builds for an account
MAX_ENDED = 50_000  # recently ended jobs that one poll reads; above it watchers reconnect and catch up


@dataclass(slots=True)
class AccountFeed:
    """The feed of an account: the versions of the last poll, the changes still to deliver, and the watchers."""

    seen: dict[UUID, int] = field(default_factory=dict)
    pending: dict[UUID, float] = field(default_factory=dict)  # by task: when it ended, or infinity
    watchers: frozenset[Watcher] = frozenset()

    def update(self, rows: Sequence[ActiveJob], watchers: frozenset[Watcher]) -> None:
        """Add what changed since the last poll, and what new watchers have not seen, to the pending changes."""
        joined = watchers - self.watchers
        for row in rows:
            if self.seen.get(row.id) != row.version or any(
                not watcher.has_seen(row.id, row.version) for watcher in joined
            ):
                self.pending[row.id] = math.inf if row.ended_at is None else row.ended_at
        # Replaced, not updated: it would otherwise grow with every job that ever ran.
        self.seen = {row.id: row.version for row in rows}
        self.watchers = watchers

    def deliver(self, session: Session, now: float) -> None:
        """Deliver the oldest pending changes, under an event id before all other changes: a client that resumes misses none."""
        batch = list(self.pending)[:MAX_DOCUMENTS_PER_POLL]
        event_id = task_changes.event_id_at(min(now, *self.pending.values())) if batch else ""
        for event in task_changes.task_events(session, batch, event_id):
            for watcher in self.watchers:
                if not watcher.has_seen(event.subject_id, event.version):
                    watcher.notify(event)
        for task_id in batch:
            del self.pending[task_id]


class AccountFeeds:
    """The feeds of all accounts that are watched in this process."""

    def __init__(self) -> None:
        self._of: dict[UUID, AccountFeed] = {}

    def deliver(self, session: Session, watched: Mapping[UUID, Sequence[Watcher]]) -> None:
        """Deliver changes to the watchers of accounts, up to a limit per account and poll."""
        self._of = {account_id: self._of.get(account_id) or AccountFeed() for account_id in watched}
        if not watched:
            return
        now, rows = progress_queries.find_active(session, list(watched), most=MAX_ENDED)
        if sum(row.ended_at is not None for row in rows) >= MAX_ENDED:
            for watcher in chain.from_iterable(watched.values()):
                watcher.notify(None)
            return
        by_account: dict[UUID, list[ActiveJob]] = {account_id: [] for account_id in watched}
        for row in rows:
            by_account[row.account_id].append(row)
        for account_id, feed in self._of.items():
            feed.update(by_account[account_id], frozenset(watched[account_id]))
            feed.deliver(session, now)
