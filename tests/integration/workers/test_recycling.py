"""A pool process that ends after its last task publishes what it had left for later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from sqlalchemy import delete, func, select, update

from shared.db import transaction
from shared.dispatch import publishing
from shared.dispatch.messages import Message
from shared.lifecycle import submissions
from shared.models import Account, Job
from shared.names import QueueName, TaskName
from shared.states import State
from tests import factories
from workers.local import processes
from workers.local.ports import free_port

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from shared.settings import Settings

pytestmark = pytest.mark.services

SECONDS = 20.0


@pytest.fixture
def account_id(process: Settings) -> Iterator[uuid.UUID]:
    """Give an account, and a worker each of whose pool processes does one task."""
    with Redis.from_url(process.broker_url) as redis:
        redis.flushdb()
    argv = [
        sys.executable, "-m", "celery", "--quiet", "-A", "bench.control.noop", "worker", "-Q", QueueName.SCRIPTS,
        "-c", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCENEMILL_WORKER_METRICS_PORT": str(free_port()),
        "PYTHONWARNINGS": "ignore",
    }
    worker = processes.start(argv, env=environment, cwd=Path.cwd(), output=subprocess.DEVNULL)
    with transaction() as session:
        made = factories.account(session)
    yield made
    processes.stop(worker, signal.SIGTERM, grace=10)
    with transaction() as session:
        session.execute(delete(Account).where(Account.id == made))


def until_succeeded(job_id: uuid.UUID) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with transaction() as session:
            if session.scalar(select(Job.state).where(Job.id == job_id)) == State.SUCCEEDED:
                return
        time.sleep(0.05)
    pytest.fail("It did not end.")


def test_a_recycled_process_still_publishes_the_next_job(
    account_id: uuid.UUID,
) -> None:
    wanted = [submissions.Submission("script", {"brief": {"topic": "0"}})] * 2
    with transaction() as session:
        first, second = submissions.submit(session, account_id, wanted, max_attempts=3)
        session.execute(update(Job).where(Job.id == first).values(published_at=func.now()))

    with transaction() as session:  # somebody else lets others of this account in
        session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
        assert publishing.send([Message(TaskName.SCRIPT, first, first, account_id)])
        until_succeeded(first)
        time.sleep(0.5)  # in which the process ends, or waits

    until_succeeded(second)
