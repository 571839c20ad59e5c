"""Rounds of repair and of throwing away, on a real database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shared.db import transaction
from shared.models import Account, Batch, Job, Segment, StoredSegment
from shared.states import SegmentState, State
from tasks.lifecycle import recovery, segments
from tasks.upkeep import sweep
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.settings import Settings

pytestmark = pytest.mark.services


def test_one_purge_drops_all_queued_segments_of_a_canceled_video(process: Settings) -> None:
    with transaction() as session:
        job = factories.rendering_job(session, tuple(map(str, range(recovery.BATCH * 2 + 1))))
        session.execute(update(Job).where(Job.id == job.id).values(state=State.CANCELED))

    sweep.purge()

    with transaction() as session:
        assert {each.state for each in factories.segments_of(session, job)} == {SegmentState.DROPPED}


@pytest.mark.parametrize(("attempt", "published"), [(1, True), (2, False)], ids=["first", "second"])
def test_lost_work_is_requeued_at_once_and_with_a_delay_when_lost_again(
    process: Settings, attempt: int, published: bool
) -> None:
    with transaction() as session:
        job, rendering = factories.job(session, attempt=attempt - 1), factories.rendering_job(session)
        assert factories.claim(session, job.id, lease=-process.lease_duration) is not None
        (part,) = factories.segments_of(session, rendering)
        part.attempt = attempt - 1
        session.flush()
        assert segments.claim(session, part.id, lease=-process.lease_duration) is not None

    sweep.sweep()

    with transaction() as session:
        for table, lost in ((Job, job.id), (Segment, part.id)):
            due = table.run_after <= func.now()
            told = select(table.state, table.published_at.is_not(None), due).where(table.id == lost)
            assert session.execute(told).one() == (State.QUEUED, published, published)
        session.execute(delete(Job).where(Job.id.in_((job.id, rendering.id))))


def test_messages_of_a_broker_that_lost_everything_are_published_in_the_next_sweep(process: Settings) -> None:
    with transaction() as session:
        job = factories.job(session)

    sweep.sweep()
    with Redis.from_url(process.broker_url) as broker:
        held = messages(broker)
        broker.flushall()
        sweep.sweep()
        again = messages(broker)

    assert held.count(str(job.id)) == again.count(str(job.id)) > 0
    with transaction() as session:
        session.execute(delete(Job).where(Job.id == job.id))


def messages(broker: Redis) -> str:
    """Return all that waits in the broker's queues."""
    queues = [key for key in broker.scan_iter("scenemill:*") if broker.type(key) == b"list"]
    return "".join(str(message) for key in queues for message in broker.lrange(key, 0, -1))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lock that another holds be given up soon; asked for before `process`."""
    monkeypatch.setenv("SCENEMILL_LOCK_TIMEOUT", "0.2")


def to_be_repaired(session: Session, account_id: uuid.UUID) -> dict[str, uuid.UUID]:
    """Make one of each kind that a sweep repairs: its job's or its segment's id."""
    old = datetime.now(UTC) - timedelta(hours=1)
    batch = Batch(id=uuid.uuid4(), account_id=account_id, total=1)
    session.add(batch)
    session.flush()
    told = factories.job(session, account_id, published_at=old)
    canceled = factories.job(session, account_id, batch_id=batch.id, state=State.CANCELING, attempt=1)
    rendering = [factories.rendering_job(session, (uuid.uuid4().hex,), account_id) for _ in range(2)]
    lost, stored = (factories.segments_of(session, each)[0] for each in rendering)
    lost.state, lost.attempt, lost.charged, lost.leased_until = SegmentState.RUNNING, 1, 1, old
    stored.published_at = old
    session.add(StoredSegment(account_id=account_id, key=stored.key, storage_key="s", bytes=1, frames=30))
    return {"told": told.id, "canceled": canceled.id, "lost": lost.id, "stored": stored.id}


def unrepaired(made: dict[str, uuid.UUID]) -> set[str]:
    """Return which of them are as they were."""
    asked = {
        "told": select(Job.published_at > func.now() - timedelta(minutes=1)),
        "canceled": select(Job.state == State.CANCELED),
        "lost": select(Segment.state == SegmentState.QUEUED),
        "stored": select(Segment.state == SegmentState.DONE),
    }
    with transaction() as session:
        return {name for name, one in made.items() if not session.scalar(asked[name].filter_by(id=one))}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("table", [Job, Segment, Batch], ids=["jobs", "segments", "batches"])
def test_locks_of_a_stopped_worker_delay_no_other_repair(
    database: Engine, process: Settings, table: type[Job | Segment | Batch]
) -> None:
    del process  # it is the one that sweeps
    with Session(database) as worker:
        accounts = [factories.account(worker) for _ in range(2)]
        _, free = (to_be_repaired(worker, each) for each in accounts)
        worker.commit()
        worker.execute(select(table.id).where(table.account_id == accounts[0]).with_for_update())

        for _ in range(2):  # what one round has put back, the next one publishes at the latest
            sweep.sweep()

        left = unrepaired(free)
        worker.rollback()
        worker.execute(delete(Account).where(Account.id.in_(accounts)))
        worker.commit()
    # An end that has to be counted in another's batch waits with it, in one transaction.
    assert left <= ({"canceled"} if table is Batch else set())
