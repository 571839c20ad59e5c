"""Whether there is room for more jobs: in the account's own queue, and in all queues together.

A job is refused before it is accepted, never dropped after. When to come again follows from how fast jobs are done.
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
MAX_ACCOUNTS = 1000  # that are remembered
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1, 600  # seconds to wait, whatever the rate says
IDLE_RETRY_SECONDS = 60  # where nothing has ended for a minute


class QueueFull(Unavailable):
    """As many jobs are unfinished as are taken: of all accounts together (503), or of this one (429)."""

    code, title = "queue-full", "Queue full"


class AccountQueueFull(RateLimitExceeded):
    """The account has as many unfinished jobs as it may have. `args[1]` is in how many seconds to try again."""

    code, title = "queue-full", "Queue full"

    @property
    def retry_after(self) -> float:
        """Seconds to wait before another try."""
        return float(self.args[1])


@dataclass(slots=True)
class QueueCount:
    """How many jobs are unfinished, counted at most once a second as long as there is room by far."""

    counted: int = 0
    valid_until: float = 0.0

    def has_ample_space(self, more: int, most: int) -> bool:
        """Tell whether `more` jobs leave it far from `most`, by a count that is not old."""
        return time.monotonic() < self.valid_until and 2 * (self.counted + more) <= most

    def count_or_excess(self, session: Session, more: int, most: int, account_id: UUID | None = None) -> int:
        """Count `more` jobs in, or return by how many there would be too many."""
        if time.monotonic() >= self.valid_until:
            self._count(session, most, account_id)
        if not self.has_ample_space(more, most):
            # One at a time until its commit: two that count at once would both find room.
            lock_until_commit(session, f"queue:{account_id}")
            self._count(session, most, account_id)
        over = self.counted + more - most
        if over <= 0:
            self.counted += more
        return max(0, over)

    def _count(self, session: Session, most: int, account_id: UUID | None) -> None:
        self.counted = queue_depth.count_unfinished(session, most, account_id)
        self.valid_until = time.monotonic() + COUNT_TTL_SECONDS


@dataclass(slots=True)
class Admission:
    """What this process knows of the queues."""

    _all: QueueCount = field(default_factory=QueueCount)
    _accounts: OrderedDict[UUID, QueueCount] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, session: Session, account_id: UUID, more: int, limits: Settings) -> None:
        """Let `more` jobs of the account in, or raise AccountQueueFull or QueueFull; TooLarge where they never fit."""
        most = limits.max_queued_per_account
        if more > max(1, min(most, limits.max_queued)):  # a limit of 0 closes the queue, to whatever comes
            raise TooLarge(
                f"These are {more} jobs, and {min(most, limits.max_queued)} may be unfinished at a time. "
                "Nothing of this request was taken; send it in parts."
            )
        # As long as all accounts together are far from what one may have, there is nothing to ask about one.
        near = not self._all.has_ample_space(more, most)
        if near and (over := self._of(account_id).count_or_excess(session, more, most, account_id)):
            raise AccountQueueFull(
                f"This account may have {most} unfinished jobs. Nothing of this request was taken.",
                seconds_until_space(over, queue_depth.completion_rate(session, account_id)),
            )
        if over := self._all.count_or_excess(session, more, limits.max_queued):
            raise QueueFull(
                "As many jobs are waiting as we take. Nothing of this request was taken; try again later.",
                seconds_until_space(over, queue_depth.completion_rate(session)),
            )

    def _of(self, account_id: UUID) -> QueueCount:
        with self._lock:
            depth = self._accounts.setdefault(account_id, QueueCount())
            self._accounts.move_to_end(account_id)
            if len(self._accounts) > MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
            return depth


def seconds_until_space(over: int, pace: queue_depth.CompletionRate) -> int:
    """Return in how many seconds there is room for so many jobs, when they are done at this pace."""
    if not pace.finished:
        return IDLE_RETRY_SECONDS
    return min(MAX_RETRY_SECONDS, max(MIN_RETRY_SECONDS, math.ceil(over * pace.seconds / pace.finished)))
