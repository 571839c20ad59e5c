"""The metric of how long jobs have been waiting, on a real Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, update

from shared.models import Job
from shared.states import State
from tasks.lifecycle import recovery
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _no_other_jobs(session: Session) -> None:
    """Look away from what tests of other processes have committed; the rollback brings it back."""
    session.execute(delete(Job))


def due(session: Session, ago: timedelta, **columns: object) -> None:
    job = factories.job(session, **columns)
    session.execute(update(Job).where(Job.id == job.id).values(run_after=func.now() - ago))


def test_the_job_that_is_due_longest_decides_how_long_jobs_wait(session: Session) -> None:
    due(session, timedelta(seconds=40))
    due(session, timedelta(seconds=90))

    assert recovery.longest_wait(session) == pytest.approx(90, abs=1)


def test_running_and_delayed_jobs_do_not_count_as_waiting(session: Session) -> None:
    due(session, timedelta(hours=1), state=State.RUNNING, attempt=1)
    due(session, timedelta(hours=-1))

    assert recovery.longest_wait(session) == 0
