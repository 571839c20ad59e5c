"""What the watchers of whole accounts are told: each look finds what is new, and each account is told a few at a time.

So thousands of ends at one moment are all told, and keep no other watcher waiting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.tasks import progress_queries, task_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.tasks.progress_queries import ActiveJob
    from api.tasks.task_changes import Watcher

MAX_DOCUMENTS_PER_POLL = 250  # documents that are made for one account in one look
MAX_ENDED = (
    50_000  # ends of a moment that are looked through; where there are more, watchers come again and catch up
)


@dataclass(slots=True)
class AccountFeed:
    """One account's: what the last look saw, what is to be told yet, and to whom."""

    seen: dict[UUID, int] = field(default_factory=dict)
    pending: dict[UUID, float] = field(default_factory=dict)  # by task: when it ended, which may be never
    watchers: frozenset[Watcher] = frozenset()

    def update(self, rows: Sequence[ActiveJob], watchers: frozenset[Watcher]) -> None:
        """Take what was found: what changed since the last look is due, and what someone new does not know."""
        joined = watchers - self.watchers
        for row in rows:
            if self.seen.get(row.id) != row.version or any(
                not one.has_seen(row.id, row.version) for one in joined
            ):
                self.pending[row.id] = math.inf if row.ended_at is None else row.ended_at
        self.seen = {row.id: row.version for row in rows}
        self.watchers = watchers

    def deliver(self, session: Session, now: float) -> None:
        """Tell what has been due longest. Whoever comes again from there is told all that is still due."""
        share = list(self.pending)[:MAX_DOCUMENTS_PER_POLL]
        place = task_changes.event_id_at(min(now, *self.pending.values())) if share else ""
        for event in task_changes.task_events(session, share, place):
            for one in self.watchers:
                if not one.has_seen(event.subject_id, event.version):
                    one.notify(event)
        for task_id in share:
            del self.pending[task_id]


class AccountFeeds:
    """Those of all accounts that are watched in this process."""

    def __init__(self) -> None:
        self._of: dict[UUID, AccountFeed] = {}

    def deliver(self, session: Session, watched: Mapping[UUID, Sequence[Watcher]]) -> None:
        """Tell the watchers of accounts, by account, what they do not know yet; not all of it at once."""
        self._of = {account_id: self._of.get(account_id) or AccountFeed() for account_id in watched}
        if not watched:
            return
        now, rows = progress_queries.find_active(session, list(watched), most=MAX_ENDED)
        if sum(row.ended_at is not None for row in rows) >= MAX_ENDED:
            for one in (one for watchers in watched.values() for one in watchers):
                one.notify(None)
            return
        found: dict[UUID, list[ActiveJob]] = {account_id: [] for account_id in watched}
        for row in rows:
            found[row.account_id].append(row)
        for account_id, feed in self._of.items():
            feed.update(found[account_id], frozenset(watched[account_id]))
            feed.deliver(session, now)
