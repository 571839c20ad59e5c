"""The order of dispatch where workers are few, with real Postgres and Redis. The test itself takes the workers' steps."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import delete, select, update

from shared.broker import app
from shared.db import transaction
from shared.dispatch import publishing
from shared.lifecycle import jobs, submissions
from shared.models import Account, Job
from shared.names import QueueName
from shared.states import UNFINISHED, Stage
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.settings import Settings

pytestmark = pytest.mark.services

SLOTS, LEASE = 2, timedelta(minutes=1)


class Workers:
    """Slots that are always busy: whenever the job that began first ends, the next message is taken."""

    def __init__(self) -> None:
        self.accounts: list[uuid.UUID] = []
        self.begun: list[Job] = []
        self._running: deque[Job] = deque()

    def account(self, weight: int = 1) -> uuid.UUID:
        with transaction() as session:
            self.accounts.append(factories.account(session))
            session.execute(update(Account).where(Account.id == self.accounts[-1]).values(weight=weight))
        return self.accounts[-1]

    def post(self, account_id: uuid.UUID, number: int = 1, priority: str = "normal") -> list[uuid.UUID]:
        wanted = [submissions.Submission("script", {}, priority=priority)] * number
        with transaction() as session:
            ids = submissions.submit(session, account_id, wanted, max_attempts=3)
        publishing.publish(account_id)
        return ids

    def unfinished(self, account_id: uuid.UUID) -> int:
        with transaction() as session:
            mine = select(Job.id).where(Job.account_id == account_id, Job.state.in_(UNFINISHED))
            return len(session.scalars(mine).all())

    def step(self, times: int, between: Callable[[], object] = lambda: None) -> None:
        """Let so many jobs begin, each when another one has ended."""
        for _ in range(times):
            if len(self._running) == SLOTS:
                self._end(self._running.popleft())
            between()
            self._begin()

    def _begin(self) -> None:
        with app.connection_for_read() as connection, connection.channel() as channel:
            message = app.amqp.queues[QueueName.SCRIPTS].bind(channel).get(no_ack=True)
        assert message is not None
        (job_id,) = message.decode()[0]
        with transaction() as session:
            job = jobs.claim(session, uuid.UUID(job_id), Stage.WRITING, lease=LEASE, worker="w")
        assert job is not None
        self.begun.append(job)
        self._running.append(job)
        publishing.publish(job.account_id)

    def _end(self, job: Job) -> None:
        with transaction() as session:
            assert jobs.succeed(session, job, {})
        publishing.publish(job.account_id)

    def shares(self) -> Counter[uuid.UUID]:
        return Counter(job.account_id for job in self.begun)


@pytest.fixture
def workers(process: Settings) -> Iterator[Workers]:
    with Redis.from_url(process.broker_url) as redis:
        redis.flushdb()
    found = Workers()
    yield found
    with transaction() as session:
        session.execute(delete(Account).where(Account.id.in_(found.accounts)))


def test_accounts_share_scarce_workers_by_weight(workers: Workers) -> None:
    heavy, light = workers.account(weight=3), workers.account()
    for account_id in (heavy, light):
        workers.post(account_id, 40)

    workers.step(32)

    assert 22 <= workers.shares()[heavy] <= 26


def test_small_accounts_do_not_starve_a_large_one(workers: Workers) -> None:
    large, small = workers.account(), [workers.account() for _ in range(3)]
    workers.post(large, 40)

    def refill() -> None:
        for account_id in small:
            if not workers.unfinished(account_id):
                workers.post(account_id)

    workers.step(24, between=refill)

    assert all(5 <= workers.shares()[account_id] <= 7 for account_id in (large, *small))


@pytest.mark.parametrize("priority", ["interactive", "normal"])
def test_another_account_s_job_goes_before_a_long_queue(workers: Workers, priority: str) -> None:
    hog, other = workers.account(), workers.account()
    workers.post(hog, 40, priority)
    workers.step(5)

    (job_id,) = workers.post(other)
    workers.step(1)

    assert workers.begun[-1].id == job_id


def test_a_stream_of_interactive_jobs_does_not_starve_an_old_bulk_job(workers: Workers) -> None:
    owner = workers.account()

    def stream() -> None:
        if workers.unfinished(owner) < 8:
            workers.post(owner, 8, "interactive")

    workers.step(4, between=stream)
    (young,), (old,) = (workers.post(owner, 1, "bulk") for _ in range(2))
    with transaction() as session:
        session.execute(update(Job).where(Job.id == old).values(turn=Job.turn - timedelta(hours=3)))

    workers.step(12, between=stream)

    begun = {job.id for job in workers.begun}
    assert (old in begun, young in begun) == (True, False)
