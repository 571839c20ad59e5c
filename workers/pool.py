"""The worker's pool of processes, which sees each death at once. Celery's own may see it at its next round only, 5 s later."""

from __future__ import annotations

from typing import Any

from celery.concurrency import asynpool, prefork

RECHECK_SECONDS = 0.02  # seconds


class _Pool(asynpool.AsynPool):
    """Celery's pool, which looks again where it looked too soon."""

    _pool: list[Any]

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        """Take the death of a process whose pipe was closed: it can be waited for a moment later, not always now."""
        super()._event_process_exit(hub, proc)  # type: ignore[misc]  # its stubs leave that out
        self._recheck(hub, proc)

    def _recheck(self, hub: Any, proc: Any) -> None:
        if proc in self._pool:
            self.maintain_pool()
            hub.call_later(RECHECK_SECONDS, self._recheck, hub, proc)


class TaskPool(prefork.TaskPool):
    """Celery's pool of processes, with ours inside."""

    Pool = _Pool
