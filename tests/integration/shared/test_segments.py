"""The rules of a segment, on a real Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from shared.lifecycle import cancellation, jobs
from shared.models import Account, Job, Segment
from shared.states import SegmentState, Stage, State
from tasks.lifecycle import segments
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.services

LEASE = timedelta(seconds=30)
STORED: dict[str, Any] = {"storage_key": "segments/x.mp4", "bytes": 10, "warnings": ["a glyph is missing"]}


def claim(session: Session, segment: Segment) -> Segment:
    claimed = segments.claim(session, segment.id, lease=LEASE)
    assert claimed is not None
    return claimed


def stage_of(session: Session, job: Job) -> str | None:
    return session.scalars(select(Job.stage).where(Job.id == job.id)).one()


def test_the_last_of_the_segments_hands_over_to_assembly(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b"))
    first, second = (claim(session, one) for one in factories.segments_of(session, job))

    assert segments.finish(session, first, stored=STORED) is False
    assert stage_of(session, job) == Stage.RENDERING
    assert segments.finish(session, second, stored={**STORED, "storage_key": "y"}) is True
    assert stage_of(session, job) == Stage.ASSEMBLING


def test_of_two_concurrent_finishes_one_is_the_last(database: Engine) -> None:
    with Session(database) as one, Session(database) as other:
        job = factories.rendering_job(one, ("a", "b"))
        first, second = (claim(one, each) for each in factories.segments_of(one, job))
        one.commit()
        assert segments.finish(one, first, stored=STORED) is False
        other.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            segments.finish(other, second, stored=STORED)
        one.commit()
        other.rollback()
        assert segments.finish(other, second, stored=STORED) is True
        other.rollback()
        one.delete(one.get_one(Account, job.account_id))
        one.commit()


def test_a_segment_with_a_stored_key_is_done_at_once(session: Session) -> None:
    job = factories.rendering_job(session, ("a",))
    segments.finish(session, claim(session, factories.segments_of(session, job)[0]), stored=STORED)

    again = factories.rendering_job(session, ("a", "new"), job.account_id)
    stranger = factories.rendering_job(session, ("a",))

    mine = factories.segments_of(session, again)
    assert [one.state for one in mine] == [SegmentState.DONE, SegmentState.QUEUED]
    assert mine[0].cached
    assert mine[0].warnings == ["a glyph is missing"]
    assert factories.segments_of(session, stranger)[0].state == SegmentState.QUEUED


def test_two_workers_never_render_the_same_key_of_an_account(session: Session) -> None:
    one = factories.rendering_job(session, ("a",))
    other = factories.rendering_job(session, ("a",), one.account_id)
    stranger = factories.rendering_job(session, ("a",))
    claim(session, factories.segments_of(session, one)[0])

    assert segments.claim(session, factories.segments_of(session, other)[0].id, lease=LEASE) is None
    claim(session, factories.segments_of(session, stranger)[0])


def test_the_unique_index_lets_one_of_two_concurrent_claims_of_a_key_win(
    session: Session,
) -> None:
    one = factories.rendering_job(session, ("a",))
    other = factories.rendering_job(session, ("a",), one.account_id)
    claim(session, factories.segments_of(session, one)[0])

    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Segment).where(Segment.job_id == other.id).values(state=SegmentState.RUNNING))


def test_a_job_that_waited_for_a_key_gets_it(session: Session) -> None:
    one = factories.rendering_job(session, ("a",))
    other = factories.rendering_job(session, ("a",), one.account_id)
    segments.finish(session, claim(session, factories.segments_of(session, one)[0]), stored=STORED)

    assert segments.waiting_jobs(session, one.account_id, "a") == [other.id]
    assert segments.complete_waiting(session, other.id, "a") is True
    assert stage_of(session, other) == Stage.ASSEMBLING


def test_a_waiting_job_gets_a_key_whose_renderer_died_after_storing_it(
    session: Session,
) -> None:
    one = factories.rendering_job(session, ("a",))
    other = factories.rendering_job(session, ("a", "b"), one.account_id)
    stranger = factories.rendering_job(session, ("a",))
    session.execute(update(Segment).values(published_at=func.now()))
    segments.finish(session, claim(session, factories.segments_of(session, one)[0]), stored=STORED)

    assert segments.complete_stored(session, 10) == 1
    assert segments.complete_stored(session, 10) == 0

    states = [[part.state for part in factories.segments_of(session, job)] for job in (other, stranger)]
    assert states == [[SegmentState.DONE, SegmentState.QUEUED], [SegmentState.QUEUED]]


def test_an_old_attempt_can_neither_finish_nor_heartbeat(session: Session) -> None:
    job = factories.rendering_job(session)
    stale = claim(session, factories.segments_of(session, job)[0])
    session.expunge(stale)
    segments.put_back(session, stale, delay=timedelta(0), max_attempts=3)
    fresh = claim(session, factories.segments_of(session, job)[0])

    assert segments.finish(session, stale, stored=STORED) is None
    assert not segments.heartbeat(session, stale, lease=LEASE, frames=5)
    assert segments.heartbeat(session, fresh, lease=LEASE, frames=5)


def test_a_heartbeat_raises_the_jobs_progress_by_frames(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b"))
    first = claim(session, factories.segments_of(session, job)[0])

    segments.heartbeat(session, first, lease=LEASE, frames=30)

    session.refresh(job)
    halfway = (jobs.RENDERING_PROGRESS + jobs.ASSEMBLING_PROGRESS) / 2
    assert job.progress == pytest.approx(halfway)


def test_a_heartbeat_reports_a_canceled_job(session: Session) -> None:
    job = factories.rendering_job(session)
    segment = claim(session, factories.segments_of(session, job)[0])

    assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELING
    assert not segments.heartbeat(session, segment, lease=LEASE, frames=1)
    assert segments.claim(session, segment.id, lease=LEASE) is None
    segments.drop(session, segment)
    assert cancellation.finish(session, job.id)


def test_a_job_with_no_segment_running_is_canceled_at_once(session: Session) -> None:
    job = factories.rendering_job(session)

    assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELED


def test_a_segment_without_attempts_left_says_so_and_frees_its_key(session: Session) -> None:
    job = factories.rendering_job(session)
    waiting = factories.rendering_job(session, ("k1",), job.account_id)
    session.execute(update(Segment).where(Segment.job_id == waiting.id).values(published_at=func.now()))
    segment = claim(session, factories.segments_of(session, job)[0])

    assert segments.put_back(session, segment, delay=timedelta(0), max_attempts=1) is False
    assert factories.segments_of(session, waiting)[0].published_at is None
