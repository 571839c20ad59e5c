"""Admission control: refuses jobs beyond the queue limits of the account (429) and of all accounts (503).

A job is refused before it is accepted, never dropped after. Retry-After follows from how fast jobs finish.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.jobs import queue_depth
from shared.advisory_locks import lock_until_commit
from shared.errors import RateLimitExceeded, TooLarge, Unavailable

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from shared.settings import Settings

COUNT_TTL_SECONDS = 1.0
MAX_ACCOUNTS = 1000  # whose counts a process keeps
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1, 600  # bounds of Retry-After
IDLE_RETRY_SECONDS = 60  # Retry-After where no job has finished for a minute


class QueueFull(Unavailable):
    """The queue is full: of all accounts together (503), or of this one (429)."""

    code, title = "queue-full", "Queue full"


class AccountQueueFull(RateLimitExceeded):
    """The account has as many unfinished jobs as it may have. `args[1]` are the seconds until there is space."""

    code, title = "queue-full", "Queue full"

    @property
    def retry_after(self) -> float:
        """Seconds to wait before the next try."""
        return float(self.args[1])


@dataclass(slots=True)
class QueueCount:
    """A cached count of unfinished jobs, refreshed at most once a second while the queue is far from full."""

    counted: int = 0
    valid_until: float = 0.0

    def has_ample_space(self, more: int, limit: int) -> bool:
        """Return whether the queue stays at most half full with `more` jobs, by a recent count."""
        return time.monotonic() < self.valid_until and 2 * (self.counted + more) <= limit

    def count_or_excess(self, session: Session, more: int, limit: int, account_id: UUID | None = None) -> int:
        """Count `more` jobs in and return 0, or return by how many they exceed the limit."""
        # Counting on every request would make the count itself the bottleneck.
        if time.monotonic() >= self.valid_until:
            self._count(session, limit, account_id)
        if not self.has_ample_space(more, limit):
            # Locked until the commit: two requests that count at the same time would both find space.
            lock_until_commit(session, f"queue:{account_id}")
            self._count(session, limit, account_id)
        excess = self.counted + more - limit
        if excess <= 0:
            self.counted += more
        return max(0, excess)

    def _count(self, session: Session, limit: int, account_id: UUID | None) -> None:
        self.counted = queue_depth.count_unfinished(session, limit, account_id)
        self.valid_until = time.monotonic() + COUNT_TTL_SECONDS


@dataclass(slots=True)
class Admission:
    """The queue counts of this process, which admit or refuse jobs."""

    _all: QueueCount = field(default_factory=QueueCount)
    _accounts: OrderedDict[UUID, QueueCount] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, session: Session, account_id: UUID, more: int, limits: Settings) -> None:
        """Admit `more` jobs of the account, or raise AccountQueueFull or QueueFull; TooLarge where they can never fit."""
        limit = limits.max_queued_per_account
        # A limit of 0 closes the queue to everybody, which is not this request's fault.
        if more > max(1, min(limit, limits.max_queued)):
            raise TooLarge(
                f"The request has {more} jobs, and an account may have {min(limit, limits.max_queued)} unfinished jobs. "
                "None were accepted. Split the batch."
            )
        # While all accounts together are far below the limit of one, this account need not be counted.
        may_exceed = not self._all.has_ample_space(more, limit)
        if may_exceed and (excess := self._of(account_id).count_or_excess(session, more, limit, account_id)):
            raise AccountQueueFull(
                f"This account has reached its limit of {limit} unfinished jobs. None were accepted; try again later.",
                seconds_until_space(excess, queue_depth.completion_rate(session, account_id)),
            )
        if excess := self._all.count_or_excess(session, more, limits.max_queued):
            raise QueueFull(
                "The queue of all accounts is full. None were accepted; try again later.",
                seconds_until_space(excess, queue_depth.completion_rate(session)),
            )

    def _of(self, account_id: UUID) -> QueueCount:
        with self._lock:
            depth = self._accounts.setdefault(account_id, QueueCount())
            self._accounts.move_to_end(account_id)
            if len(self._accounts) > MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
            return depth


def seconds_until_space(excess: int, rate: queue_depth.CompletionRate) -> int:
    """Return in how many seconds so many jobs will have finished at this rate."""
    if not rate.finished:
        return IDLE_RETRY_SECONDS
    return min(MAX_RETRY_SECONDS, max(MIN_RETRY_SECONDS, math.ceil(excess * rate.seconds / rate.finished)))
