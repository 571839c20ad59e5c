"""A prefork pool that notices a process's death at once; Celery's own may notice it up to 5 s later."""

from __future__ import annotations

from typing import Any

from celery.concurrency import asynpool, prefork

RECHECK_SECONDS = 0.02


class _Pool(asynpool.AsynPool):
    """Celery's pool, which checks again when it checked too early."""

    _pool: list[Any]

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        """Handle the closed pipe of a process that dies: it may only be reaped a moment later."""
        super()._event_process_exit(hub, proc)  # type: ignore[misc]  # missing in its stubs
        self._recheck(hub, proc)

    def _recheck(self, hub: Any, proc: Any) -> None:
        if proc in self._pool:
            self.maintain_pool()
            hub.call_later(RECHECK_SECONDS, self._recheck, hub, proc)


class TaskPool(prefork.TaskPool):
    """Celery's prefork pool, built on _Pool."""

    Pool = _Pool
