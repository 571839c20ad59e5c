"""Checks each paid call of a job against the account's budgets before the call, and records its cost after it."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import usage
from shared.db import transaction
from shared.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Job
    from shared.usage import UsageKind


@dataclass(slots=True)
class Reservation:
    """The amount of one call: an estimate until the call is made, then what it used."""

    amount: float


class CostTracker:
    """The costs of one attempt. Threads may reserve at the same time: amounts reserved but not yet spent count too."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._spending: defaultdict[UsageKind, float] = defaultdict(float)
        self.spent: defaultdict[UsageKind, float] = defaultdict(float)

    @contextmanager
    def reserve(self, kind: UsageKind, amount: float) -> Iterator[Reservation]:
        """Make the paid call inside the block, or raise QuotaExceeded before it. A call that fails is not charged."""
        with self._lock:
            self._spending[kind] += amount
            try:
                with transaction() as session:
                    usage.check_budget_for_cost(session, self._job, self._pending())
            except BaseException:
                self._spending[kind] -= amount
                raise
        reservation = Reservation(amount)
        try:
            yield reservation
            with self._lock, transaction() as session:
                usage.record_usage(session, self._job, kind, reservation.amount, settings())
                self.spent[kind] += reservation.amount
        finally:
            with self._lock:
                self._spending[kind] -= amount

    def _pending(self) -> float:
        return sum(usage.cost(kind, amount, settings()) for kind, amount in self._spending.items())
