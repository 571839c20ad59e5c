"""Fair dispatch on a real Postgres: the window of an account, and the order of its work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.accounts import operator_queries
from shared.dispatch import fairness
from shared.dispatch.fairness import Window
from shared.dispatch.messages import PriorityLevel
from shared.lifecycle import cancellation, publication, submissions
from shared.models import Account, Job, Segment
from shared.names import TaskName
from shared.states import SegmentState, Stage, State
from tests import factories

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Engine

pytestmark = pytest.mark.services

WINDOW = Window(unclaimed=3, running=10)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def admitted(session: Session, account_id: uuid.UUID, limits: Window = WINDOW) -> list[tuple[str, uuid.UUID]]:
    return [(message.task, message.id) for message in fairness.admit(session, account_id, limits)]


def submit(session: Session, account_id: uuid.UUID, *priorities: str) -> list[uuid.UUID]:
    wanted = [submissions.Submission("video", {}, priority=priority) for priority in priorities]
    return submissions.submit(session, account_id, wanted, max_attempts=3)


def test_an_account_has_a_window_of_unclaimed_messages_and_the_rest_waits(session: Session) -> None:
    account_id = factories.account(session)
    ids = [factories.job(session, account_id, turn=NOW + timedelta(seconds=at)).id for at in range(5)]

    assert admitted(session, account_id) == [(TaskName.VIDEO, one) for one in ids[:3]]
    assert admitted(session, account_id) == []

    session.execute(update(Job).where(Job.id.in_(ids[:2])).values(state=State.RUNNING, attempt=1))
    assert admitted(session, account_id) == [(TaskName.VIDEO, ids[3])]


def test_one_place_is_reserved_for_an_idle_account_and_its_message_is_urgent(session: Session) -> None:
    account_id = factories.account(session)
    made = datetime.now(UTC) - timedelta(minutes=1)
    turns = [made + timedelta(seconds=at) for at in range(4)]
    begun, _, _, following = (factories.job(session, account_id, turn=turn).id for turn in turns)
    levels = [message.priority for message in fairness.admit(session, account_id, WINDOW)]
    session.execute(update(Job).where(Job.id == begun).values(state=State.RUNNING, attempt=1))
    assert admitted(session, account_id) == []

    session.execute(update(Job).where(Job.id == begun).values(state=State.SUCCEEDED))

    (last,) = fairness.admit(session, account_id, WINDOW)
    assert (last.id, last.priority) == (following, PriorityLevel.URGENT)
    assert levels == [PriorityLevel.URGENT, PriorityLevel.NORMAL, PriorityLevel.NORMAL]


def test_one_account_s_queue_does_not_shrink_another_s_window(session: Session) -> None:
    hog, other = factories.account(session), factories.account(session)
    submit(session, hog, *["normal"] * 50)
    (waiting,) = submit(session, other, "normal")
    assert len(admitted(session, hog)) == 3

    assert admitted(session, other) == [(TaskName.VIDEO, waiting)]


def test_a_weight_widens_the_window(session: Session) -> None:
    account_id = factories.account(session)
    session.execute(update(Account).where(Account.id == account_id).values(weight=2))
    submit(session, account_id, *["normal"] * 10)

    assert len(admitted(session, account_id)) == 6


def test_interactive_jobs_go_first_and_bulk_last_but_not_for_ever(session: Session) -> None:
    account_id = factories.account(session)
    bulk, normal, interactive = submit(session, account_id, "bulk", "normal", "interactive")
    old_bulk = factories.job(session, account_id, priority="bulk", turn=NOW).id

    order = admitted(session, account_id, Window(unclaimed=10, running=10))

    assert [one for _, one in order] == [old_bulk, interactive, normal, bulk]


def test_segments_of_a_begun_job_go_before_another_job_begins(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b"))
    (queued,) = submit(session, job.account_id, "interactive")
    parts = [part.id for part in factories.segments_of(session, job)]

    first = admitted(session, job.account_id)
    session.execute(update(Segment).where(Segment.id == parts[0]).values(state=SegmentState.RUNNING))
    then = admitted(session, job.account_id)

    assert first == [(TaskName.SEGMENT, part) for part in parts]
    assert then == [(TaskName.VIDEO, queued)]


def test_the_segments_of_an_ended_job_take_no_place_in_the_window(session: Session) -> None:
    account_id = factories.account(session)
    ended = factories.rendering_job(session, ("a", "b", "c"), account_id)
    assert len(admitted(session, account_id)) == 3
    (following,) = submit(session, account_id, "normal")
    assert admitted(session, account_id) == []
    before = operator_queries.queue_depths(session)["segments"]

    assert cancellation.cancel(session, account_id, ended.id) == State.CANCELED

    assert admitted(session, account_id) == [(TaskName.VIDEO, following)]
    assert before["published"] - operator_queries.queue_depths(session)["segments"]["published"] == 3


def test_a_job_s_longest_segments_go_first_so_that_its_end_keeps_all_workers_busy(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b", "c", "d"))
    parts = factories.segments_of(session, job)
    for part, frames in zip(parts, (15, 120, 15, 125), strict=True):
        session.execute(update(Segment).where(Segment.id == part.id).values(frames=frames))

    order = admitted(session, job.account_id, Window(unclaimed=3, running=10))

    assert [one for _, one in order] == [parts[3].id, parts[1].id, parts[0].id]


def test_the_first_segment_of_an_idle_account_is_urgent(session: Session) -> None:
    job = factories.rendering_job(session, ("a", "b", "c"))
    parts = [part.id for part in factories.segments_of(session, job)]
    window_of_two = Window(unclaimed=2, running=10)

    begun = fairness.admit(session, job.account_id, window_of_two)
    session.execute(update(Segment).where(Segment.id == parts[0]).values(state=SegmentState.RUNNING))
    while_it_renders = fairness.admit(session, job.account_id, window_of_two)

    assert [(message.id, message.priority) for message in begun] == [
        (parts[0], PriorityLevel.URGENT),
        (parts[1], PriorityLevel.NORMAL),
    ]
    assert [(message.id, message.priority) for message in while_it_renders] == [
        (parts[2], PriorityLevel.NORMAL)
    ]


def test_a_lost_segment_goes_before_work_that_never_began(session: Session) -> None:
    first = factories.rendering_job(session, ("a", "b"))
    other = factories.rendering_job(session, ("c", "d"), first.account_id)
    lost = factories.segments_of(session, other)[1]
    lost.attempt = 1
    factories.job(session, first.account_id, state=State.RUNNING, attempt=1)
    session.execute(update(Job).where(Job.id == other.id).values(turn=first.turn + timedelta(minutes=1)))

    messages = fairness.admit(session, first.account_id, Window(unclaimed=2, running=10))

    assert [(message.id, message.priority) for message in messages] == [
        (lost.id, PriorityLevel.URGENT),
        (factories.segments_of(session, first)[0].id, PriorityLevel.NORMAL),
    ]


def test_a_rendered_job_is_assembled_whatever_the_window_holds(session: Session) -> None:
    account_id = factories.account(session)
    submit(session, account_id, *["normal"] * 5)
    admitted(session, account_id)
    done = factories.job(session, account_id, state=State.RUNNING, stage=Stage.ASSEMBLING, attempt=1)

    assert admitted(session, account_id) == [(TaskName.ASSEMBLE, done.id)]
    assert admitted(session, account_id) == []


def test_an_account_has_a_limit_of_running_jobs(session: Session) -> None:
    account_id = factories.account(session)
    for _ in range(2):
        factories.job(session, account_id, state=State.RUNNING, stage=Stage.RENDERING, attempt=1)
    submit(session, account_id, *["normal"] * 5)

    assert len(admitted(session, account_id, Window(unclaimed=5, running=3))) == 1


def test_both_kinds_of_jobs_count_against_the_limit_of_running_jobs(session: Session) -> None:
    account_id = factories.account(session)
    for _ in range(2):
        factories.job(session, account_id, state=State.RUNNING, stage=Stage.RENDERING, attempt=1)
    submit(session, account_id, *["normal"] * 5)
    submissions.submit(session, account_id, [submissions.Submission("script", {})] * 5, max_attempts=3)

    assert len(admitted(session, account_id, Window(unclaimed=5, running=3))) == 1


def test_scripts_and_videos_have_windows_of_their_own(session: Session) -> None:
    account_id = factories.account(session)
    submit(session, account_id, *["normal"] * 5)
    submissions.submit(session, account_id, [submissions.Submission("script", {})] * 5, max_attempts=3)

    names = [task for task, _ in admitted(session, account_id)]

    assert sorted(names) == [TaskName.SCRIPT] * 3 + [TaskName.VIDEO] * 3


def test_jobs_not_due_or_without_attempts_are_not_published(session: Session) -> None:
    account_id = factories.account(session)
    later = factories.job(session, account_id)
    session.execute(update(Job).where(Job.id == later.id).values(run_after=func.now() + timedelta(hours=1)))
    factories.job(session, account_id, attempt=3, max_attempts=3)

    assert admitted(session, account_id) == []


def test_an_idle_account_goes_before_a_busy_one(session: Session) -> None:
    idle, busy = factories.account(session), factories.account(session)
    factories.job(session, busy, state=State.RUNNING, attempt=1)
    for account_id in (idle, busy):
        submit(session, account_id, "normal", "bulk")

    levels = {
        one: [message.priority for message in fairness.admit(session, one, WINDOW)] for one in (idle, busy)
    }

    assert levels == {
        idle: [PriorityLevel.URGENT, PriorityLevel.LOW],
        busy: [PriorityLevel.NORMAL, PriorityLevel.LOW],
    }


@pytest.mark.parametrize(
    ("priority", "hours", "level"),
    [
        ("interactive", 0, PriorityLevel.HIGH),
        ("normal", 0.9, PriorityLevel.NORMAL),
        ("normal", 1, PriorityLevel.HIGH),
        ("bulk", 0.9, PriorityLevel.LOW),
        ("bulk", 1, PriorityLevel.NORMAL),
        ("bulk", 2, PriorityLevel.HIGH),
    ],
)
def test_the_priority_of_a_message_rises_with_waiting(
    session: Session, priority: str, hours: float, level: PriorityLevel
) -> None:
    busy = factories.account(session)
    factories.job(session, busy, state=State.RUNNING, attempt=1)
    submit(session, busy, priority)
    session.execute(update(Job).where(Job.account_id == busy).values(turn=Job.turn - timedelta(hours=hours)))

    assert [message.priority for message in fairness.admit(session, busy, WINDOW)] == [level]


def test_messages_that_the_broker_refused_are_admitted_again(session: Session) -> None:
    job = factories.rendering_job(session, ("a",))
    submit(session, job.account_id, "normal")
    messages = fairness.admit(session, job.account_id, WINDOW)

    publication.clear_mark(session, Job, [one.id for one in messages if one.task != TaskName.SEGMENT])
    publication.clear_mark(session, Segment, [one.id for one in messages if one.task == TaskName.SEGMENT])

    assert fairness.admit(session, job.account_id, WINDOW) == messages


def test_accounts_with_unpublished_work_are_found(session: Session) -> None:
    with_job, told = factories.job(session).account_id, factories.account(session)
    with_segment = factories.rendering_job(session).account_id
    finishing = factories.job(session, state=State.RUNNING, stage=Stage.ASSEMBLING, attempt=1).account_id
    submit(session, told, "normal")
    admitted(session, told)
    factories.job(session, state=State.SUCCEEDED)

    mine = {with_job, with_segment, finishing, told}
    assert mine & set(fairness.waiting_accounts(session)) == {with_job, with_segment, finishing}


def test_concurrent_admissions_do_not_exceed_the_window(database: Engine) -> None:
    with Session(database) as one, Session(database) as other:
        account_id = factories.account(one)
        submit(one, account_id, *["normal"] * 10)
        one.commit()
        assert len(admitted(one, account_id)) == 3
        other.execute(select(func.set_config("lock_timeout", "200ms", True)))
        with pytest.raises(Exception, match="lock timeout"):
            admitted(other, account_id)
        one.commit()
        other.rollback()
        assert fairness.try_admit(other, account_id, WINDOW) == []
        other.rollback()
        assert admitted(other, account_id) == []
        other.rollback()
        one.delete(one.get(Account, account_id))
        one.commit()


def test_admission_does_not_wait_for_locked_rows(database: Engine) -> None:
    with Session(database) as one, Session(database) as other:
        account_id = factories.account(one)
        held, free = submit(one, account_id, "interactive", "normal")
        one.commit()
        one.scalars(select(Job).where(Job.id == held).with_for_update()).one()
        other.execute(select(func.set_config("lock_timeout", "200ms", True)))

        assert admitted(other, account_id) == [(TaskName.VIDEO, free)]
        assert fairness.try_admit(one, account_id, WINDOW) is None

        other.rollback()
        one.delete(one.get(Account, account_id))
        one.commit()
