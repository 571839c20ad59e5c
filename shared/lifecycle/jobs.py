"""The rules of a job: each change of state is one conditional UPDATE; no row back means that somebody else was first.

Functions take a session and never commit. Every time is Postgres's `now()`, since workers' clocks differ. Lock order,
everywhere: the job's row first, then the rows that belong to it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Interval, bindparam, case, column, func, insert, literal, or_, select, update

from shared.errors import as_job_error
from shared.lifecycle import completion
from shared.lifecycle.publication import NOT_PUBLISHED
from shared.models import Artifact, Base, Job
from shared.prepared_statements import PreparedStatement
from shared.states import Stage, State

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import timedelta

    from sqlalchemy import ColumnElement, Executable
    from sqlalchemy.orm import Session

    from shared.errors import ServiceError

# Progress at the start of each stage: planning is quick, and the rest is weighed by frames.
RENDERING_PROGRESS, ASSEMBLING_PROGRESS = 0.1, 0.95
_JOBS = Base.metadata.tables["jobs"]
_CLAIM = PreparedStatement(
    "claim_job",
    update(Job)
    .where(
        Job.id == bindparam("job"),
        Job.state == State.QUEUED,
        # A message that counts as lost comes all the same: by then another job may have this one's place.
        Job.published_at.is_not(None),
        Job.run_after <= func.now(),
        Job.attempt < Job.max_attempts,
    )
    .values(
        state=State.RUNNING,
        stage=bindparam("begun"),
        progress=0,
        # The fencing token: whatever the former attempt still writes names a lower number and changes nothing.
        attempt=Job.attempt + 1,
        leased_until=func.now() + bindparam("lease", type_=Interval),
        started_at=func.coalesce(Job.started_at, func.now()),
        worker=bindparam("by"),
        version=Job.version + 1,
    )
    .returning(*_JOBS.columns),
    returns=list(_JOBS.columns),
)


def find(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> Job | None:
    """Return the account's job, or None."""
    return session.scalar(select(Job).where(Job.account_id == account_id, Job.id == job_id))


def claim(session: Session, job_id: uuid.UUID, stage: Stage, *, lease: timedelta, worker: str) -> Job | None:
    """Claim a queued job for this worker and begin its next attempt; None if it cannot be claimed.

    A job whose message counts as lost cannot: another job may have its place in the account's window. It is published
    again.
    """
    parameters = {"job": job_id, "begun": stage, "lease": lease, "by": worker}
    claimed: Job | None = session.scalar(_select_claimed(_CLAIM.prepare(session)), parameters)
    return claimed


@lru_cache(maxsize=1)
def _select_claimed(execution: Any) -> Executable:
    return select(Job).from_statement(execution).execution_options(populate_existing=True)


def heartbeat(
    session: Session,
    job_id: uuid.UUID,
    attempt: int,
    *,
    lease: timedelta,
    stage: Stage | None = None,
    progress: float = 0,
) -> State | None:
    """Extend the lease, record progress, and return the state; None if this attempt has lost its lease."""
    changed = or_(Job.stage.is_distinct_from(stage or Job.stage), Job.progress < progress)
    return session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state.in_((State.RUNNING, State.CANCELING)))
        # A job without a lease is with its segments, or waits for assembly: an old attempt must not revive it.
        .where(Job.leased_until.is_not(None))
        .values(
            leased_until=func.now() + lease,
            stage=stage or Job.stage,
            progress=func.greatest(Job.progress, progress),
            version=Job.version + case((changed, 1), else_=0),
        )
        .returning(Job.state)
    )


def hand_over_to_segments(session: Session, job_id: uuid.UUID, attempt: int, plan: dict[str, Any]) -> bool:
    """Give up the job's lease, since its segments have leases of their own; False if this attempt has lost it."""
    done = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state == State.RUNNING)
        .values(
            stage=Stage.RENDERING,
            plan=plan,
            leased_until=None,
            worker=None,
            progress=func.greatest(Job.progress, RENDERING_PROGRESS),
            version=Job.version + 1,
        )
        .returning(Job.id)
    )
    return done is not None


def succeed(
    session: Session, job: Job, result: dict[str, Any], artifacts: Sequence[dict[str, Any]] = ()
) -> bool:
    """End the job as succeeded and insert its artifacts; False if this attempt has lost its lease."""
    if not _end_attempt(session, job.id, job.attempt, State.SUCCEEDED, result=result, progress=1.0):
        return False
    if artifacts:
        rows = [{"account_id": job.account_id, "job_id": job.id, **artifact} for artifact in artifacts]
        # With NULL for what an artifact lacks, such as a width, one statement inserts them all.
        session.execute(insert(Artifact), rows, execution_options={"render_nulls": True})
    return True


def fail(session: Session, job_id: uuid.UUID, attempt: int, error: ServiceError) -> bool:
    """End the job as failed with an error for the client; False if this attempt has lost its lease."""
    return _end_attempt(session, job_id, attempt, State.FAILED, error=as_job_error(error).problem())


def _end_attempt(session: Session, job_id: uuid.UUID, attempt: int, state: State, **values: Any) -> bool:
    parameters = {_parameter(name): value for name, value in values.items()}
    ending = _end_statement(state, tuple(values)).prepare(session)
    ended = session.execute(ending, {"job": job_id, "held": attempt, **parameters}).all()
    # In the same transaction: an end that is visible without its webhook would never be delivered.
    completion.record_ends(session, ended, state)
    return len(ended) == 1


@lru_cache(maxsize=8)
def _end_statement(state: State, names: tuple[str, ...]) -> PreparedStatement:
    """Return the statement that ends one job and sets these columns, prepared once for each combination."""
    columns: dict[str, Any] = {name: bindparam(_parameter(name)) for name in names}
    return PreparedStatement(
        f"end_job_{state}_{'_'.join(names)}",
        update(Job)
        .where(Job.id == bindparam("job"), Job.attempt == bindparam("held"), Job.state == State.RUNNING)
        .values(state=state, **_end_values(), **columns)
        .returning(*completion.ENDED_COLUMNS),
        returns=[column(each.key, each.type) for each in completion.ENDED_COLUMNS],
    )


def _parameter(column: str) -> str:
    return f"new_{column}"  # the UPDATE uses the column's own name already


def end_all(session: Session, conditions: Sequence[ColumnElement[bool]], state: State, **values: Any) -> int:
    """End all jobs that match, with what follows from it, and return how many."""
    ended = session.execute(
        update(Job)
        .where(*conditions)
        .values(state=state, **_end_values(), **values)
        .returning(*completion.ENDED_COLUMNS)
    ).all()
    completion.record_ends(session, ended, state)
    return len(ended)


def _end_values() -> dict[str, Any]:
    retention = func.make_interval(0, 0, 0, 0, 0, 0, Job.expires_in)
    return {
        "finished_at": func.now(),
        "expires_at": func.now() + retention,  # NULL where the job is kept until it is deleted
        "leased_until": None,
        "worker": None,
        "version": Job.version + 1,
    }


def requeue(
    session: Session, job_id: uuid.UUID, attempt: int, *, delay: timedelta, charge: bool = True
) -> State | None:
    """Queue the job again after `delay`; None if this attempt has lost its lease or was the last one.

    Without `charge` the attempt does not count. The fencing token never goes back, so the limit goes up instead.
    """
    return session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state == State.RUNNING)
        # Without an attempt left the job must fail instead, which its caller does.
        .where(or_(Job.attempt < Job.max_attempts, literal(not charge)))
        .values(
            state=State.QUEUED,
            stage=None,
            run_after=func.now() + delay,
            leased_until=None,
            **NOT_PUBLISHED,
            worker=None,
            max_attempts=Job.max_attempts + (0 if charge else 1),
            version=Job.version + 1,
        )
        .returning(Job.state)
    )


def retry(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, *, attempts: int) -> bool:
    """Queue a failed or canceled job again with new attempts. Segments and speech in the caches are reused."""
    ended = session.scalar(
        select(Job)
        .where(Job.account_id == account_id, Job.id == job_id, Job.state.in_((State.FAILED, State.CANCELED)))
        .with_for_update()
    )
    if ended is None:
        return False
    # The batch has counted this end already; counted twice, it would finish too early.
    completion.uncount_in_batch(session, ended.batch_id, State(ended.state))
    session.execute(update(Job).where(Job.id == job_id).values(requeued_values(attempts)))
    return True


def requeued_values(attempts: int) -> dict[str, Any]:
    """Return the column values that queue an ended job again."""
    return {
        "state": State.QUEUED,
        "stage": None,
        "progress": 0,
        "error": None,
        "finished_at": None,
        "expires_at": None,
        "run_after": func.now(),
        **NOT_PUBLISHED,
        "max_attempts": Job.attempt + attempts,
        "deaths": 0,
        "version": Job.version + 1,
    }
