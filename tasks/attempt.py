"""Runs one attempt at leased work (a job, a segment, a mix): heartbeat, limits, work folder, and what each ending leads to."""

from __future__ import annotations

import logging
import random
import shutil
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared import metrics
from shared.db import transaction
from shared.dispatch import publishing
from shared.errors import JobFailed, ServiceError, Unavailable
from shared.processes.ffmpeg import Stopped
from shared.settings import Settings, settings
from tasks import draining
from tasks.heartbeat import Heartbeat
from tasks.workdir import attempt_workdir, quota_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path

    from sqlalchemy.orm import Session

    from shared.models import Job
    from shared.states import Stage

T = TypeVar("T")

log = logging.getLogger(__name__)

SETTLE_TRIES = 5
NO_PROGRESS = "The work has shown no sign of life for too long."


class Lease(Protocol):
    """A worker's claim on a piece of work: how to keep it, and how to settle each ending. Settling returns the outcome's name."""

    @property
    def task(self) -> str:
        """The value of the metrics' `task` label."""
        ...

    def renew(self, attempt: Attempt) -> bool:
        """Extend the lease and write the progress; return False when this worker no longer holds the work."""
        ...

    def release(self) -> str:
        """Settle work that was stopped: canceled, taken over, or handed back by a worker that shuts down."""
        ...

    def retry_later(self, error: Unavailable) -> str:
        """Settle a failure that may pass: queue the work again while attempts are left."""
        ...

    def fail(self, error: ServiceError) -> str:
        """Settle a failure that a further attempt would not mend."""
        ...


@dataclass(slots=True)
class Attempt:
    """One attempt at a job's work, as passed to the code that performs it."""

    job: Job
    stack: ExitStack = field(repr=False)
    stage: Stage | None = None
    progress: float = 0.0
    heartbeat: Heartbeat | None = field(default=None, repr=False)
    _workdir: Path | None = field(default=None, repr=False)

    @property
    def workdir(self) -> Path:
        """The folder of the attempt's own files: created when first asked for, removed when the attempt ends."""
        if self._workdir is None:
            self._workdir = self.stack.enter_context(attempt_workdir())
        return self._workdir

    def report_progress(self, stage: Stage, progress: float) -> None:
        """Set the stage and the progress (0 to 1) that the next heartbeat writes to the database."""
        self.stage, self.progress = stage, progress

    def should_stop(self) -> bool:
        """Return whether to stop: canceled, taken over, past a limit, or the worker shuts down."""
        return self.heartbeat is not None and self.heartbeat.should_stop()

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the work is to be dropped."""
        if self.should_stop():
            raise Stopped

    def progress_deadline(self, seconds: timedelta, late: str) -> AbstractContextManager[None]:
        """Limit the time between two calls of `should_stop` in the block; past it the work fails with the message `late`."""
        if self.heartbeat is None:
            raise RuntimeError("The attempt has no heartbeat yet.")
        return self.heartbeat.progress_deadline(seconds, late)

    def quota_error(self) -> ServiceError | None:
        """Return the error to fail with when the attempt's files take too much disk, else None."""
        return quota_error(self._workdir, settings().work_max_bytes)

    def discard(self) -> None:
        """Remove the attempt's files just before its process is ended."""
        if self._workdir is not None:
            shutil.rmtree(self._workdir, ignore_errors=True)


def run_attempt(job: Job, lease: Lease, perform: Callable[[Attempt], str]) -> str:
    """Perform the work under its lease, settle it however it ends, and return the name of the outcome."""
    try:
        with ExitStack() as stack:
            return _perform(Attempt(job, stack), lease, perform)
    except Stopped:
        return lease.release()
    except Unavailable as error:
        log.warning("attempt_unavailable", extra={"reason": error.detail}, exc_info=True)
        return lease.retry_later(error)
    except ServiceError as error:
        log.warning("attempt_failed", extra={"reason": error.detail}, exc_info=True)
        return lease.fail(error)
    except Exception:
        log.exception("attempt_unexpected_error")
        return lease.fail(
            JobFailed("An unexpected error ended the work. The worker's log has its traceback.")
        )


def _perform(attempt: Attempt, lease: Lease, perform: Callable[[Attempt], str]) -> str:
    config = settings()
    # Handing work back before the container is killed costs no attempt; a lease that runs out does.
    heartbeat = Heartbeat(
        lambda: lease.renew(attempt) and not shutdown_grace_is_over(),
        every=config.heartbeat_interval,
        lease=config.lease_duration,
        check=attempt.quota_error,
        abandon=lambda error: _abandon(attempt, lease, error),
    )
    # The heartbeat outlives `perform`: a job must keep its lease until the transaction that ends it.
    with heartbeat, heartbeat.progress_deadline(config.render_timeout, NO_PROGRESS):
        attempt.heartbeat = heartbeat
        return perform(attempt)


def _abandon(attempt: Attempt, lease: Lease, error: ServiceError | None) -> None:
    """Settle work that ignores the request to stop, just before its process is ended."""
    outcome = lease.release() if error is None else lease.fail(error)
    metrics.attempts.labels(task=lease.task, outcome=outcome).inc()
    log.warning("attempt_abandoned", extra={"outcome": outcome})
    publishing.publish(attempt.job.account_id)
    attempt.discard()


def settle_with_retries(
    settle: Callable[[Session], T], through: Callable[[], AbstractContextManager[Session]] = transaction
) -> T:
    """Run a transaction, and run it again while Postgres is away.

    `settle` must be conditional: where only the answer to a COMMIT was lost, it runs twice.
    """
    for tries in range(SETTLE_TRIES):
        try:
            with through() as session:
                return settle(session)
        except Unavailable:
            if tries == SETTLE_TRIES - 1:
                raise
            time.sleep(0.2 * 2**tries)
    raise AssertionError


def shutdown_grace_is_over() -> bool:
    """Return whether this worker has been shutting down for longer than SCENEMILL_SHUTDOWN_GRACE."""
    return draining.has_lasted(settings().shutdown_grace.total_seconds())


def backoff(attempt: int, config: Settings) -> timedelta:
    """Return the wait before the next attempt: doubling, capped, with jitter on its upper half."""
    ceiling: timedelta = min(config.retry_max_delay, config.retry_base_delay * 2 ** min(attempt - 1, 16))
    share: float = random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
    return ceiling * share
