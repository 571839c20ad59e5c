"""The rules of a job, on a real Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from shared.errors import RenderFailed
from shared.lifecycle import cancellation, jobs, retention
from shared.models import Account, Artifact, Job
from shared.states import FINISHED, MOVES, Stage, State
from tasks.lifecycle import assembly
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.services

LEASE = timedelta(seconds=30)


def claim(session: Session, job: Job) -> Job | None:
    return factories.claim(session, job.id, lease=LEASE)


def state_of(session: Session, job: Job) -> State:
    return State(session.scalars(select(Job.state).where(Job.id == job.id)).one())


def artifact(name: str = "video.mp4") -> dict[str, object]:
    return {
        "name": name, "position": 0, "storage_key": f"artifacts/{name}", "media_type": "video/mp4",
        "bytes": 1, "sha256": "0" * 64, "width": 2, "height": 2, "duration": 1.0,
    }  # fmt: skip


def test_only_one_of_two_claims_wins(session: Session) -> None:
    job = factories.job(session)

    first, second = claim(session, job), claim(session, job)

    assert first is not None
    assert first.attempt == 1
    assert second is None


def test_concurrent_claims_have_one_winner(database: Engine) -> None:
    with Session(database) as one, Session(database) as other:
        job = factories.job(one)
        one.commit()
        assert claim(one, job) is not None
        other.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            claim(other, job)
        one.commit()
        other.rollback()
        assert claim(other, job) is None
        other.rollback()
        one.delete(one.get_one(Account, job.account_id))
        one.commit()


def test_a_job_is_not_claimed_before_its_time_or_past_its_attempts(session: Session) -> None:
    later = factories.job(session)
    session.execute(update(Job).where(Job.id == later.id).values(run_after=func.now() + timedelta(hours=1)))
    spent = factories.job(session, attempt=3, max_attempts=3)

    assert claim(session, later) is None
    assert claim(session, spent) is None


def test_a_heartbeat_of_an_old_attempt_changes_nothing(session: Session) -> None:
    job = factories.job(session, state=State.RUNNING, attempt=2, leased_until=func.now())

    assert jobs.heartbeat(session, job.id, 1, lease=LEASE, progress=0.9) is None
    assert jobs.heartbeat(session, job.id, 2, lease=LEASE, progress=0.5) == State.RUNNING
    session.refresh(job)
    assert job.progress == 0.5


def test_progress_never_goes_down_and_the_version_rises_only_with_a_change(session: Session) -> None:
    job = factories.job(session, state=State.RUNNING, attempt=1, stage="gathering", leased_until=func.now())

    for progress in (0.4, 0.2, 0.2):
        jobs.heartbeat(session, job.id, 1, lease=LEASE, stage=Stage.NARRATING, progress=progress)

    session.refresh(job)
    assert (job.progress, job.stage, job.version) == (0.4, "narrating", 2)


def test_a_stale_attempt_can_neither_end_nor_requeue_a_job(session: Session) -> None:
    job = factories.job(session)
    stale = claim(session, job)
    assert stale is not None
    session.expunge(stale)
    jobs.requeue(session, job.id, 1, delay=timedelta(0))
    assert claim(session, job) is not None

    assert not jobs.succeed(session, stale, {}, [artifact()])
    assert not jobs.fail(session, job.id, stale.attempt, RenderFailed("late"))
    assert not jobs.hand_over_to_segments(session, job.id, stale.attempt, {})
    assert jobs.requeue(session, job.id, stale.attempt, delay=timedelta(0)) is None
    assembly.record_assembly_key(session, stale, "k" * 64)
    held = select(Job.stage, Job.plan, Job.assembly_key, Job.leased_until.is_not(None))
    assert session.execute(held.where(Job.id == job.id)).one() == (Stage.GATHERING, None, None, True)
    assert session.scalar(select(func.count()).where(Artifact.job_id == job.id)) == 0
    assert state_of(session, job) == State.RUNNING


def test_a_stale_attempt_cannot_release_a_canceled_job(session: Session) -> None:
    job = factories.job(session)
    assert claim(session, job) is not None
    jobs.requeue(session, job.id, 1, delay=timedelta(0))
    assert claim(session, job) is not None
    assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELING

    assert not cancellation.release(session, job.id, 1)

    assert state_of(session, job) == State.CANCELING
    assert cancellation.release(session, job.id, 2)


def test_a_rendered_job_is_assembled_by_one(session: Session) -> None:
    job = factories.job(session, state=State.RUNNING, stage=Stage.ASSEMBLING, attempt=1)

    first, second = (assembly.claim(session, job.id, lease=LEASE, worker="w") for _ in range(2))

    assert first is not None
    assert second is None


def test_success_inserts_artifacts_and_the_expiry(session: Session) -> None:
    job = factories.job(session, expires_in=60)
    claimed = claim(session, job)
    assert claimed is not None

    assert jobs.succeed(session, claimed, {"duration": 1}, [artifact(), artifact("poster.jpg")])

    session.refresh(job)
    assert job.state == State.SUCCEEDED
    assert job.progress == 1.0
    assert job.leased_until is None
    assert job.expires_at is not None
    assert job.finished_at is not None
    assert job.expires_at - job.finished_at == timedelta(seconds=60)
    assert session.scalar(select(func.count()).where(Artifact.job_id == job.id)) == 2


def test_a_queued_job_is_canceled_at_once(session: Session) -> None:
    job = factories.job(session)

    assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELED
    assert claim(session, job) is None


def test_a_canceling_job_never_succeeds(session: Session) -> None:
    job = factories.job(session)
    claimed = claim(session, job)
    assert claimed is not None

    assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELING
    assert jobs.heartbeat(session, job.id, 1, lease=LEASE) == State.CANCELING
    assert not jobs.succeed(session, claimed, {})
    assert not cancellation.finish(session, job.id)  # its worker still holds it
    assert cancellation.release(session, job.id, 1)
    assert state_of(session, job) == State.CANCELED


def test_another_account_can_neither_find_nor_cancel_nor_remove_nor_retry(session: Session) -> None:
    stranger = factories.account(session)
    job = factories.job(session, state=State.FAILED)

    assert jobs.find(session, stranger, job.id) is None
    assert cancellation.cancel(session, stranger, job.id) is None
    assert retention.delete_job(session, stranger, job.id) is None
    assert not jobs.retry(session, stranger, job.id, attempts=3)


def test_requeueing_without_charge_keeps_the_attempts_left(session: Session) -> None:
    job = factories.job(session, max_attempts=1)
    assert claim(session, job) is not None

    assert jobs.requeue(session, job.id, 1, delay=timedelta(0)) is None
    assert jobs.requeue(session, job.id, 1, delay=timedelta(0), charge=False) == State.QUEUED
    again = claim(session, job)
    assert again is not None
    assert again.attempt == 2


def test_a_retry_resets_attempts_and_clears_the_error(session: Session) -> None:
    job = factories.job(session, attempt=3, state=State.FAILED, error={"code": "worker-lost"})

    assert jobs.retry(session, job.account_id, job.id, attempts=2)

    session.refresh(job)
    assert (job.state, job.error, job.max_attempts) == (State.QUEUED, None, 5)
    assert not jobs.retry(session, job.account_id, job.id, attempts=2)


def test_deleting_a_job_returns_its_files_and_spares_unfinished_jobs(session: Session) -> None:
    job = factories.job(session)
    assert retention.delete_job(session, job.account_id, job.id) is None
    claimed = claim(session, job)
    assert claimed is not None
    jobs.succeed(session, claimed, {}, [artifact()])

    assert retention.delete_job(session, job.account_id, job.id) == ["artifacts/video.mp4"]
    assert jobs.find(session, job.account_id, job.id) is None


def test_every_state_is_in_the_table_of_moves_and_ends_are_final() -> None:
    assert set(MOVES) == set(State)
    assert all(MOVES[state] <= {State.QUEUED} for state in FINISHED)
