"""What the sweeper repairs, on a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, update

from api.tasks import progress_queries
from shared.dispatch import fairness
from shared.dispatch.fairness import Window
from shared.dispatch.messages import PriorityLevel
from shared.lifecycle import jobs, submissions
from shared.models import Job, Segment
from shared.states import SegmentState, Stage, State
from tasks.lifecycle import recovery, segments, worker_crashes
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.services

LEASE, MINUTE, NONE = timedelta(seconds=30), timedelta(minutes=1), timedelta(0)


def no_delay(_: int) -> timedelta:
    return NONE


def dead(session: Session, **columns: Any) -> Job:
    job = factories.job(session, state=State.RUNNING, attempt=1, **columns)
    session.execute(update(Job).where(Job.id == job.id).values(leased_until=func.now() - MINUTE))
    return job


def test_the_job_of_a_dead_worker_is_queued_again(session: Session) -> None:
    job = dead(session)
    alive = factories.job(session, state=State.RUNNING, attempt=1)
    session.execute(update(Job).where(Job.id == alive.id).values(leased_until=func.now() + MINUTE))

    taken_back, spent = recovery.reclaim_jobs(session, no_delay)

    assert (taken_back, spent) == ([job.id], [])
    session.refresh(job)
    assert (job.state, job.attempt, job.published_at) == (State.QUEUED, 1, None)


def test_a_lost_job_goes_before_other_jobs(session: Session) -> None:
    job = dead(session, priority="bulk")
    other = submissions.Submission("video", {}, priority="interactive")
    submissions.submit(session, job.account_id, [other], max_attempts=3)

    recovery.reclaim_jobs(session, no_delay)

    (first,) = fairness.admit(session, job.account_id, Window(unclaimed=1, running=10))
    assert (first.id, first.priority) == (job.id, PriorityLevel.URGENT)


def test_a_job_that_kills_every_worker_fails_as_worker_lost(session: Session) -> None:
    job = dead(session, max_attempts=1)

    _, spent = recovery.reclaim_jobs(session, no_delay)

    session.refresh(job)
    assert spent == [job]
    assert job.state == State.FAILED
    assert job.error is not None
    assert job.error["code"] == "worker-lost"


def test_a_job_that_killed_two_workers_fails_with_attempts_left(session: Session) -> None:
    job = factories.job(session, max_attempts=5)
    for state in (State.QUEUED, State.FAILED):
        assert factories.claim(session, job.id) is not None
        assert worker_crashes.record_crash(session, str(job.id))
        recovery.reclaim_jobs(session, no_delay)
        session.refresh(job)
        assert job.state == state

    assert job.error is not None
    assert job.error["code"] == "worker-lost"
    assert jobs.retry(session, job.account_id, job.id, attempts=5)
    session.refresh(job)
    assert job.deaths == 0


def test_a_segment_s_death_counts_against_its_job(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b"))
    for segment in factories.segments_of(session, job):
        segments.claim(session, segment.id, lease=LEASE)
        assert worker_crashes.record_crash(session, str(segment.id))
        recovery.reclaim_segments(session, no_delay, max_attempts=5)
        session.refresh(job)

    assert job.state == State.FAILED


@pytest.mark.parametrize("message", ["no id", "{}.assemble", "{}"], ids=["beat's", "assembly", "queued"])
def test_a_worker_s_death_without_a_job_counts_for_nothing(session: Session, message: str) -> None:
    job = factories.job(session)

    assert not worker_crashes.record_crash(session, message.format(job.id))


def test_a_canceling_job_whose_worker_died_is_canceled(session: Session) -> None:
    job = dead(session)
    session.execute(update(Job).where(Job.id == job.id).values(state=State.CANCELING))

    assert recovery.end_canceled(session) == 1
    session.refresh(job)
    assert job.state == State.CANCELED


def test_the_segment_of_a_dead_worker_is_queued_again_or_ends_its_job(session: Session) -> None:
    job = factories.rendering_job(session, ("a",))
    (segment,) = factories.segments_of(session, job)
    for attempts, state in ((2, State.RUNNING), (2, State.FAILED)):
        claimed = segments.claim(session, segment.id, lease=LEASE)
        assert claimed is not None
        session.execute(
            update(Segment).where(Segment.id == segment.id).values(leased_until=func.now() - MINUTE)
        )
        number, _ = recovery.reclaim_segments(session, no_delay, max_attempts=attempts)
        session.refresh(job)
        assert number == 1
        assert job.state == state
    assert factories.segments_of(session, job)[0].state == SegmentState.QUEUED


def test_the_segment_of_a_living_worker_is_left_to_it(session: Session) -> None:
    job = factories.rendering_job(session, ("a",))
    (segment,) = factories.segments_of(session, job)
    assert segments.claim(session, segment.id, lease=LEASE) is not None

    assert recovery.reclaim_segments(session, no_delay, max_attempts=1) == (0, [])

    assert factories.segments_of(session, job)[0].state == SegmentState.RUNNING


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELED])
def test_queued_segments_of_an_ended_job_are_dropped(session: Session, state: State) -> None:
    job, running = factories.rendering_job(session, ("a", "b")), factories.rendering_job(session, ("c",))
    shown = progress_queries.scene_progress(session, [job.id])
    session.execute(update(Job).where(Job.id == job.id).values(state=state))
    assert job.account_id in fairness.waiting_accounts(session)

    recovery.drop_segments(session)

    assert running.account_id in (waiting := fairness.waiting_accounts(session))
    assert job.account_id not in waiting
    assert progress_queries.scene_progress(session, [job.id]) == shown
    assert jobs.retry(session, job.account_id, job.id, attempts=1)
    segments.replace_segments(session, job, [segments.PlannedSegment("d", 30, ("one",), {})])
    assert [one.state for one in factories.segments_of(session, job)] == [SegmentState.QUEUED]


def test_segments_waiting_for_a_dead_worker_s_key_are_published_again(session: Session) -> None:
    job = factories.rendering_job(session, ("a",))
    waiting = factories.rendering_job(session, ("a",), job.account_id)
    session.execute(update(Segment).values(published_at=func.now()))
    segments.claim(session, factories.segments_of(session, job)[0].id, lease=-MINUTE)

    recovery.reclaim_segments(session, no_delay, max_attempts=1)  # the job itself fails of it

    assert factories.segments_of(session, waiting)[0].published_at is None


def test_a_late_message_that_counts_as_lost_claims_nothing(session: Session) -> None:
    job = factories.job(session, published_at=datetime.now(UTC) - 2 * MINUTE)
    recovery.clear_stale_publications(session, older_than=MINUTE)

    assert jobs.claim(session, job.id, Stage.GATHERING, lease=LEASE, worker="w") is None
    assert factories.claim(session, job.id) is not None


def test_a_message_unclaimed_for_long_counts_as_lost(session: Session) -> None:
    session.execute(delete(Job))  # what tests of other processes have left
    job = factories.job(session, published_at=datetime.now(UTC) - 2 * MINUTE)
    fresh = factories.job(session, published_at=datetime.now(UTC))
    claimed = factories.job(session, state=State.RUNNING, published_at=datetime.now(UTC) - 2 * MINUTE)
    rendering = factories.rendering_job(session, ("a",))
    session.execute(
        update(Segment)
        .where(Segment.job_id == rendering.id)
        .values(published_at=datetime.now(UTC) - 2 * MINUTE)
    )

    assert recovery.clear_stale_publications(session, older_than=MINUTE) == 2

    for row in (job, fresh, claimed):
        session.refresh(row)
    assert job.published_at is None
    assert fresh.published_at is not None
    assert claimed.published_at is not None
    assert factories.segments_of(session, rendering)[0].published_at is None
    assert recovery.clear_stale_publications(session, older_than=None) == 1
