"""Runs a job's task: claims the job, performs it, then ends it, hands it to its segments, or queues it again."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from shared import metrics
from shared.db import autocommit_session, transaction
from shared.dispatch import publishing as dispatch
from shared.lifecycle import cancellation, jobs
from shared.logs import bind
from shared.settings import Settings, settings
from shared.states import Stage, State
from shared.storage.factory import storage
from tasks.attempt import Attempt, backoff, run_attempt, settle_with_retries, shutdown_grace_is_over
from tasks.lifecycle import assembly as assemblies

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from shared.errors import ServiceError, Unavailable
    from shared.models import Job

log = logging.getLogger(__name__)

# After these outcomes one job fewer of the account is running, so that its next job may be published.
SLOT_FREEING_OUTCOMES = (State.SUCCEEDED, State.FAILED, State.CANCELED, "handed_back")


@dataclass(frozen=True, slots=True)
class JobOutput:
    """What a finished job leaves: its result, and artifacts as table rows whose files are in storage already."""

    result: dict[str, Any]
    artifacts: tuple[dict[str, Any], ...] = ()


def claim_queued(stage: Stage) -> Callable[[Session, uuid.UUID, Settings], Job | None]:
    """Return a function that claims a queued job, which starts in this stage."""
    return lambda session, job_id, config: jobs.claim(
        session, job_id, stage, lease=config.lease_duration, worker=socket.gethostname()
    )


def claim_for_assembly(session: Session, job_id: uuid.UUID, config: Settings) -> Job | None:
    """Claim a job whose segments are all rendered."""
    return assemblies.claim(session, job_id, lease=config.lease_duration, worker=socket.gethostname())


def run_job(
    job_id: str,
    perform: Callable[[Attempt], JobOutput | None],
    claim: Callable[[Session, uuid.UUID, Settings], Job | None],
) -> None:
    """Claim the job, perform it, settle it. `perform` returns None when it has handed the job over to its segments."""
    job = settle_with_retries(
        lambda session: claim(session, uuid.UUID(job_id), settings()), through=autocommit_session
    )
    if job is None:
        log.info("job_not_claimed", extra={"task_id": job_id})
        return
    with (
        # A claim takes the job out of the account's queue, so that the next one may be published.
        dispatch.publishing_successors(job.account_id) as successors,
        bind(task_id=job_id, attempt=job.attempt, request_id=job.request_id, kind=job.kind),
    ):
        log.info("job_claimed")
        began = time.monotonic()
        outcome = run_attempt(
            job, _JobLease(job), lambda attempt: _perform_and_succeed(attempt, perform, successors)
        )
        if outcome in SLOT_FREEING_OUTCOMES:
            successors.publish_at_end()
        seconds = time.monotonic() - began
        metrics.attempts.labels(task=job.kind, outcome=outcome).inc()
        metrics.attempt_seconds.labels(task=job.kind).observe(seconds)
        log.info("attempt_ended", extra={"outcome": outcome, "seconds": round(seconds, 3)})


class _JobLease:
    """A claimed job. Every UPDATE names the attempt, so that a worker that lost its lease changes nothing."""

    def __init__(self, job: Job) -> None:
        self.task, self._job = job.kind, job

    def renew(self, attempt: Attempt) -> bool:
        with transaction() as session:
            state = jobs.heartbeat(
                session,
                self._job.id,
                self._job.attempt,
                lease=settings().lease_duration,
                stage=attempt.stage,
                progress=attempt.progress,
            )
        return state == State.RUNNING

    def release(self) -> str:
        """End the job if a client canceled it, queue it again if the worker shuts down; else another worker holds it."""
        job = self._job
        if settle_with_retries(lambda session: cancellation.release(session, job.id, job.attempt)):
            return _record_settled(job, State.CANCELED)
        none = timedelta(0)
        if shutdown_grace_is_over() and settle_with_retries(
            lambda session: jobs.requeue(session, job.id, job.attempt, delay=none, charge=False)
        ):
            return "handed_back"
        return "lost"

    def retry_later(self, error: Unavailable) -> str:
        job = self._job
        delay = backoff(job.attempt, settings())
        if error.retry_after is not None:
            delay = max(delay, timedelta(seconds=error.retry_after))
        state = settle_with_retries(lambda session: jobs.requeue(session, job.id, job.attempt, delay=delay))
        return "retried" if state is not None else self.fail(error)

    def fail(self, error: ServiceError) -> str:
        job = self._job
        if settle_with_retries(lambda session: jobs.fail(session, job.id, job.attempt, error)):
            return _record_settled(job, State.FAILED)
        return self.release()


def _perform_and_succeed(
    attempt: Attempt, perform: Callable[[Attempt], JobOutput | None], successors: dispatch.Successors
) -> str:
    """Perform the job and write its end, both under the heartbeat."""
    output = perform(attempt)
    attempt.raise_if_stopped()
    return "handed_over" if output is None else _succeed(attempt.job, output, successors)


def _succeed(job: Job, output: JobOutput, successors: dispatch.Successors) -> str:
    def settle(session: Session) -> bool:
        ended = jobs.succeed(session, job, output.result, output.artifacts)
        if ended:
            successors.admit(session)
        return ended

    try:
        ended = settle_with_retries(settle)
    except SQLAlchemyError:
        # Admitting the account's next job failed and rolled back this job's end too: write the end alone.
        log.exception("admission_unexpected_error")
        ended = settle_with_retries(
            lambda session: jobs.succeed(session, job, output.result, output.artifacts)
        )
    if ended:
        return _record_settled(job, State.SUCCEEDED)
    # No row may also mean that the first COMMIT went through and only its answer was lost.
    now = settle_with_retries(lambda session: jobs.find(session, job.account_id, job.id))
    if now is not None and now.state == State.SUCCEEDED and now.attempt == job.attempt:
        return _record_settled(job, State.SUCCEEDED)
    for artifact in output.artifacts:
        storage().delete(artifact["storage_key"])
    return _JobLease(job).release()


def _record_settled(job: Job, state: State) -> str:
    metrics.jobs_settled.labels(kind=job.kind, outcome=state.value).inc()
    log.info("job_settled", extra={"state": state.value})
    return state.value
