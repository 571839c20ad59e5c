"""The shell around every job: claim it, perform it, settle it. It alone turns an ending into a state."""

from __future__ import annotations

import logging
import random
import shutil
import socket
import time
import uuid
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from shared import metrics
from shared.db import autocommit_session, transaction
from shared.dispatch import publishing as dispatch
from shared.errors import JobFailed, ServiceError, Unavailable
from shared.lifecycle import cancellation, jobs
from shared.logs import bind
from shared.processes.ffmpeg import Stopped
from shared.settings import Settings, settings
from shared.states import Stage, State
from shared.storage.factory import storage
from tasks import draining
from tasks.heartbeat import Heartbeat
from tasks.lifecycle import assembly as assemblies
from tasks.workdir import attempt_workdir, quota_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

    from shared.models import Job

T = TypeVar("T")

log = logging.getLogger(__name__)

SETTLE_TRIES = 5
NO_PROGRESS = "The work has shown no sign of life for too long."
# An account may have only so many jobs begun, and after these one is no longer.
SLOT_FREEING_OUTCOMES = (State.SUCCEEDED, State.FAILED, State.CANCELED, "handed_back")


@dataclass(frozen=True, slots=True)
class JobOutput:
    """What a finished job leaves: its result, and artifacts as rows whose files are in storage already."""

    result: dict[str, Any]
    artifacts: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class Attempt:
    """One attempt at a job, as the code that performs it sees it."""

    job: Job
    stack: ExitStack = field(repr=False)
    stage: Stage | None = None
    progress: float = 0.0
    heartbeat: Heartbeat | None = field(default=None, repr=False)
    _workdir: Path | None = field(default=None, repr=False)

    @property
    def workdir(self) -> Path:
        """The folder of the attempt's own files, made when it is first asked for and gone with the attempt."""
        if self._workdir is None:
            self._workdir = self.stack.enter_context(attempt_workdir())
        return self._workdir

    def report_progress(self, stage: Stage, progress: float) -> None:
        """Note how far the work is; the next heartbeat writes it down."""
        self.stage, self.progress = stage, progress

    def should_stop(self) -> bool:
        """Tell whether to stop: canceled, or taken over."""
        return self.heartbeat is not None and self.heartbeat.should_stop()

    def quota_error(self) -> ServiceError | None:
        """Return what the attempt fails with where its files take too much of the disk."""
        return quota_error(self._workdir, settings().work_max_bytes)

    def discard(self) -> None:
        """Remove the attempt's files: its process is about to end."""
        if self._workdir is not None:
            shutil.rmtree(self._workdir, ignore_errors=True)

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the work is no longer wanted."""
        if self.should_stop():
            raise Stopped

    def renew_lease(self) -> bool:
        """Extend the lease and write the progress; False when the attempt is over."""
        with transaction() as session:
            state = jobs.heartbeat(
                session,
                self.job.id,
                self.job.attempt,
                lease=settings().lease_duration,
                stage=self.stage,
                progress=self.progress,
            )
        return state == State.RUNNING and not shutdown_grace_is_over()


def claim_queued(stage: Stage) -> Callable[[Session, uuid.UUID, Settings], Job | None]:
    """Return the claim of a queued job, which starts in this stage."""
    return lambda session, job_id, config: jobs.claim(
        session, job_id, stage, lease=config.lease_duration, worker=socket.gethostname()
    )


def claim_for_assembly(session: Session, job_id: uuid.UUID, config: Settings) -> Job | None:
    """Claim a rendered job for its assembly."""
    return assemblies.claim(session, job_id, lease=config.lease_duration, worker=socket.gethostname())


def run_job(
    job_id: str,
    perform: Callable[[Attempt], JobOutput | None],
    claim: Callable[[Session, uuid.UUID, Settings], Job | None],
) -> None:
    """Claim the job, perform it, settle it. `perform` returns None when it has handed the job over itself."""
    job = settle_with_retries(
        lambda session: claim(session, uuid.UUID(job_id), settings()), through=autocommit_session
    )
    if job is None:
        log.info("job_not_claimed", extra={"task_id": job_id})
        return
    with (
        dispatch.publishing_successors(
            job.account_id
        ) as successors,  # what was claimed has made room for the next
        bind(task_id=job_id, attempt=job.attempt, request_id=job.request_id, kind=job.kind),
    ):
        log.info("job_claimed")
        began = time.monotonic()
        outcome = _perform(job, perform, successors)
        if outcome in SLOT_FREEING_OUTCOMES:
            successors.publish_at_end()
        seconds = time.monotonic() - began
        metrics.attempts.labels(task=job.kind, outcome=outcome).inc()
        metrics.attempt_seconds.labels(task=job.kind).observe(seconds)
        log.info("attempt_ended", extra={"outcome": outcome, "seconds": round(seconds, 3)})


def _perform(
    job: Job, perform: Callable[[Attempt], JobOutput | None], successors: dispatch.Successors
) -> str:
    """Perform and settle; return the name of the outcome."""
    try:
        with ExitStack() as stack:
            return _attempt(Attempt(job, stack), perform, successors)
    except Stopped:
        return _settle_stopped(job)
    except Unavailable as error:
        log.warning("attempt_unavailable", extra={"reason": error.detail}, exc_info=True)
        return _retry_later(job, error)
    except ServiceError as error:
        log.warning("attempt_failed", extra={"reason": error.detail}, exc_info=True)
        return _fail(job, error)
    except Exception:
        log.exception("attempt_unexpected_error")
        return _fail(job, JobFailed("Something went wrong that we did not foresee."))


def _attempt(
    attempt: Attempt, perform: Callable[[Attempt], JobOutput | None], successors: dispatch.Successors
) -> str:
    """Perform with a heartbeat beside it, and end the job where that went well."""
    config = settings()
    heartbeat = Heartbeat(
        attempt.renew_lease,
        every=config.heartbeat_interval,
        lease=config.lease_duration,
        check=attempt.quota_error,
        abandon=lambda error: _abandon(attempt, error),
    )
    with heartbeat, heartbeat.progress_deadline(config.render_timeout, NO_PROGRESS):
        attempt.heartbeat = heartbeat
        done = perform(attempt)
        attempt.raise_if_stopped()
        return "handed_over" if done is None else _succeed(attempt.job, done, successors)


def _abandon(attempt: Attempt, error: ServiceError | None) -> None:
    """Settle work that does not come back, just before its process is ended."""
    job = attempt.job
    outcome = _settle_stopped(job) if error is None else _fail(job, error)
    metrics.attempts.labels(task=job.kind, outcome=outcome).inc()
    log.warning("attempt_abandoned", extra={"outcome": outcome})
    dispatch.publish(job.account_id)
    attempt.discard()


def settle_with_retries(
    settle: Callable[[Session], T], through: Callable[[], AbstractContextManager[Session]] = transaction
) -> T:
    """Run a settling transaction, and again while Postgres is away: each is conditional, so that twice does no harm."""
    for tries in range(SETTLE_TRIES):
        try:
            with through() as session:
                return settle(session)
        except Unavailable:
            if tries == SETTLE_TRIES - 1:
                raise
            time.sleep(0.2 * 2**tries)
    raise AssertionError


def _succeed(job: Job, done: JobOutput, successors: dispatch.Successors) -> str:
    def settle(session: Session) -> bool:
        ended = jobs.succeed(session, job, done.result, done.artifacts)
        if ended:
            successors.admit(session)
        return ended

    try:
        ended = settle_with_retries(settle)
    except SQLAlchemyError:  # that others cannot be let in must not cost this job its end
        log.exception("admission_unexpected_error")
        ended = settle_with_retries(lambda session: jobs.succeed(session, job, done.result, done.artifacts))
    if ended:
        return _record_settled(job, State.SUCCEEDED)
    # No row may also mean that the first COMMIT went through and only its answer was lost.
    now = settle_with_retries(lambda session: jobs.find(session, job.account_id, job.id))
    if now is not None and now.state == State.SUCCEEDED and now.attempt == job.attempt:
        return _record_settled(job, State.SUCCEEDED)
    for artifact in done.artifacts:
        storage().delete(artifact["storage_key"])
    return _settle_stopped(job)


def _settle_stopped(job: Job) -> str:
    """End it where a client asked for that, hand it back where the worker ends, else write nothing: it is another's."""
    if settle_with_retries(lambda session: cancellation.release(session, job.id, job.attempt)):
        return _record_settled(job, State.CANCELED)
    none = timedelta(0)
    if shutdown_grace_is_over() and settle_with_retries(
        lambda session: jobs.requeue(session, job.id, job.attempt, delay=none, charge=False)
    ):
        return "handed_back"
    return "lost"


def _retry_later(job: Job, error: Unavailable) -> str:
    delay = backoff(job.attempt, settings())
    if error.retry_after is not None:
        delay = max(delay, timedelta(seconds=error.retry_after))
    state = settle_with_retries(lambda session: jobs.requeue(session, job.id, job.attempt, delay=delay))
    return "retried" if state is not None else _fail(job, error)


def _fail(job: Job, error: ServiceError) -> str:
    if settle_with_retries(lambda session: jobs.fail(session, job.id, job.attempt, error)):
        return _record_settled(job, State.FAILED)
    return _settle_stopped(job)


def _record_settled(job: Job, state: State) -> str:
    metrics.jobs_settled.labels(kind=job.kind, outcome=state.value).inc()
    log.info("job_settled", extra={"state": state.value})
    return state.value


def shutdown_grace_is_over() -> bool:
    """Tell whether this worker has been ending for so long that it hands its work back."""
    return draining.has_lasted(settings().shutdown_grace.total_seconds())


def backoff(attempt: int, config: Settings) -> timedelta:
    """Return how long to wait before the next attempt: doubling, capped, with full jitter on its upper half."""
    ceiling: timedelta = min(config.retry_max_delay, config.retry_base_delay * 2 ** min(attempt - 1, 16))
    share: float = random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
    return ceiling * share
