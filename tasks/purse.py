"""What a job's calls cost: each is held against the budgets before it is made, and written down after it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared import ledger
from shared.db import transaction
from shared.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ledger import Spent
    from shared.models import Job


class Purse:
    """The money of one attempt. Its threads may pay at once: what is being spent already counts."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._spending: Counter[Spent] = Counter()
        self.spent: Counter[Spent] = Counter()

    @contextmanager
    def paying(self, kind: Spent, amount: int) -> Iterator[None]:
        """Make a call inside the block, or raise QuotaExceeded before it. A call that fails costs nothing."""
        with self._lock:
            with transaction() as session:
                ledger.afford(session, self._job, kind, self._spending[kind] + amount, settings())
            self._spending[kind] += amount
        try:
            yield
            with self._lock, transaction() as session:
                ledger.charge(session, self._job, kind, amount, settings())
                self.spent[kind] += amount
        finally:
            with self._lock:
                self._spending[kind] -= amount
