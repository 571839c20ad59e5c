"""A job's end publishes what it makes room for, without waiting for a busy window."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import delete, func, select, update

from shared.db import transaction
from shared.dispatch import publishing as dispatch
from shared.lifecycle import jobs, submissions
from shared.models import Account, Job
from shared.names import QueueName
from shared.states import Stage, State
from tasks.upkeep import sweep
from tests import factories

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from shared.settings import Settings

pytestmark = pytest.mark.services

LEASE = timedelta(minutes=1)


def waiting_at_the_broker(redis_url: str) -> int:
    with Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter(f"scenemill:{QueueName.SCRIPTS}*", _type="LIST"))
        return sum(client.llen(key) for key in keys)


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time: what waits too long for a lock gives up."""
    monkeypatch.setenv("SCENEMILL_LOCK_TIMEOUT", "30")


@pytest.fixture
def account_id(_patient: None, process: Settings) -> Iterator[uuid.UUID]:
    with Redis.from_url(process.broker_url) as redis:
        redis.flushdb()
    yield from an_account()


@pytest.fixture
def other_id(process: Settings) -> Iterator[uuid.UUID]:
    yield from an_account()


def an_account() -> Iterator[uuid.UUID]:
    with transaction() as session:
        made = factories.account(session)
    yield made
    with transaction() as session:
        session.execute(delete(Account).where(Account.id == made))


@pytest.fixture
def running(account_id: uuid.UUID) -> Job:
    """Give a job that runs, of an account that has another one waiting which nobody was told of."""
    with transaction() as session:
        wanted = [submissions.Submission("script", {})] * 2
        first, _ = submissions.submit(session, account_id, wanted, max_attempts=3)
        session.execute(update(Job).where(Job.id == first).values(published_at=func.now()))
    with transaction() as session:
        job = jobs.claim(session, first, Stage.WRITING, lease=LEASE, worker="w")
        assert job is not None
        return job


def ended(job: Job) -> None:
    """End the job as a worker does."""
    with dispatch.publishing_successors(job.account_id) as successors:
        with transaction() as session:
            assert jobs.succeed(session, job, {})
            successors.admit(session)
        successors.publish_at_end()


def told(account_id: uuid.UUID) -> int:
    """Return how many of the account's waiting jobs are marked as published."""
    waiting = Job.account_id == account_id, Job.state == State.QUEUED, Job.published_at.is_not(None)
    with transaction() as session:
        return len(session.scalars(select(Job.id).where(*waiting)).all())


def in_time(work: Callable[[], object], seconds: float = 2.0) -> bool:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def test_a_job_s_end_publishes_the_next_one(running: Job, redis_url: str) -> None:
    ended(running)

    assert waiting_at_the_broker(redis_url) == 1


def test_a_job_s_end_does_not_wait_for_a_busy_window_and_publishes_later(
    running: Job, redis_url: str
) -> None:
    with transaction() as session:
        session.execute(select(Account.id).where(Account.id == running.account_id).with_for_update())

        assert in_time(lambda: ended(running))
        assert waiting_at_the_broker(redis_url) == 0
        assert not dispatch.flush(0.2)

    assert dispatch.flush(20)
    assert waiting_at_the_broker(redis_url) == 1


def test_the_sweeper_skips_a_busy_account(running: Job) -> None:
    with transaction() as session:
        session.execute(select(Account.id).where(Account.id == running.account_id).with_for_update())

        assert in_time(sweep.sweep)
        assert told(running.account_id) == 0

    sweep.sweep()
    assert told(running.account_id) == 1


def test_a_flush_returns_when_the_queue_is_empty(running: Job, redis_url: str) -> None:
    publisher = dispatch.Publisher()
    assert publisher.flush(0)

    publisher.push(running.account_id)

    assert publisher.flush(20)
    assert waiting_at_the_broker(redis_url) == 1


def test_a_busy_account_does_not_delay_others(running: Job, other_id: uuid.UUID, redis_url: str) -> None:
    publisher = dispatch.Publisher()
    with transaction() as session:
        submissions.submit(session, other_id, [submissions.Submission("script", {})], max_attempts=3)
    with transaction() as session:
        session.execute(select(Account.id).where(Account.id == running.account_id).with_for_update())

        publisher.push(running.account_id)
        publisher.push(other_id)

        deadline = time.monotonic() + 2
        while waiting_at_the_broker(redis_url) == 0:
            assert time.monotonic() < deadline

    assert publisher.flush(20)
    assert waiting_at_the_broker(redis_url) == 2
