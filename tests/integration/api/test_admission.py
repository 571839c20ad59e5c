"""Whether there is room for more jobs: what is refused, and when it may come again."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from api.app import create_app
from api.jobs import acceptance, queue_depth
from api.jobs.admission import Admission, QueueFull, seconds_until_space
from shared.db import transaction
from shared.errors import Unavailable
from shared.models import Job
from shared.states import State
from tests import factories
from tests.integration.api.conftest import HELLO, jobs_of, new_client

if TYPE_CHECKING:
    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def test_a_full_queue_refuses_before_accepting(config: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    monkeypatch.setattr(acceptance, "_admission", Admission())
    full = new_client(create_app(config.model_copy(update={"max_queued": 2})))
    full.job()

    batch = full.post("/v1/batch", json={"jobs": [HELLO, HELLO]})
    second = full.post("/v1/jobs", json=HELLO)
    third = full.post("/v1/jobs", json=HELLO)

    assert (batch.status_code, second.status_code, third.status_code) == (503, 202, 503)
    assert int(third.headers["Retry-After"]) >= 1
    assert third.json["type"].endswith("queue-full")
    assert len(jobs_of(full)) == 2


def test_the_last_place_is_given_once(config: Settings, client: Client) -> None:
    limits = config.model_copy(update={"max_queued": 1})
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    with transaction() as one:
        Admission().admit(one, client.account_id, 1, limits)
        factories.job(one, client.account_id)
        with pytest.raises(Unavailable, match="database"), transaction() as other:
            other.execute(select(func.set_config("lock_timeout", "200ms", True)))
            Admission().admit(other, client.account_id, 1, limits)

    with pytest.raises(QueueFull), transaction() as other:
        Admission().admit(other, client.account_id, 1, limits)


def test_a_finished_job_frees_a_place(config: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
    monkeypatch.setattr(acceptance, "_admission", Admission())
    full = new_client(create_app(config.model_copy(update={"max_queued": 1})))
    task_id = full.job()
    assert full.post("/v1/jobs", json=HELLO).status_code == 503

    full.post(f"/v1/tasks/{task_id}/cancel")

    assert full.post("/v1/jobs", json=HELLO).status_code == 202


@pytest.mark.parametrize("limit", ["max_queued", "max_queued_per_account"])
def test_a_batch_that_never_fits_is_too_large_whatever_is_queued(
    config: Settings, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(acceptance, "_admission", Admission())
    small = new_client(create_app(config.model_copy(update={limit: 2})))

    answer = small.post("/v1/batch", json={"jobs": [HELLO] * 3})

    assert (answer.status_code, answer.json["code"]) == (413, "too-large")
    assert "may have 2 unfinished jobs" in answer.json["detail"]
    assert "Retry-After" not in answer.headers
    assert jobs_of(small) == []


def test_canceled_jobs_do_not_count_as_throughput(client: Client) -> None:
    states = [State.SUCCEEDED, State.FAILED, *[State.CANCELED] * 5]
    ids = [uuid.UUID(client.job()) for _ in states]

    with transaction() as session:
        for job_id, state in zip(ids, states, strict=True):
            session.execute(update(Job).where(Job.id == job_id).values(state=state, finished_at=func.now()))
        assert queue_depth.completion_rate(session, client.account_id).finished == 2


@pytest.mark.parametrize(
    ("limit", "status"),
    [("max_queued_per_account", 429), ("max_queued", 503)],
    ids=["of-an-account", "of-all"],
)
@pytest.mark.parametrize(("began", "seconds"), [(9.0, "2"), (0.0, "1"), (300.0, "12")])
def test_retry_after_counts_from_the_start_of_work(
    config: Settings, monkeypatch: pytest.MonkeyPatch, limit: str, status: int, began: float, seconds: str
) -> None:
    monkeypatch.setattr(acceptance, "_admission", Admission())
    full = new_client(create_app(config.model_copy(update={limit: 1})))
    now = datetime.now(UTC)
    with transaction() as session:
        session.execute(update(Job).values(state=State.CANCELED))
        for ago in (began, *[0.0] * 4):
            started = {"started_at": now - timedelta(seconds=ago), "created_at": now - timedelta(hours=1)}
            factories.job(session, full.account_id, state=State.SUCCEEDED, finished_at=now, **started)
    full.job()

    refused = full.post("/v1/jobs", json=HELLO)

    assert (refused.status_code, refused.headers["Retry-After"]) == (status, seconds)


def test_an_accounts_limit_does_not_affect_others(config: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "_admission", Admission())
    app = create_app(config.model_copy(update={"max_queued_per_account": 2}))
    hog, other = new_client(app), new_client(app)
    first = hog.job()
    hog.job()

    refused = hog.post("/v1/jobs", json=HELLO)
    other.job()
    batch = other.post("/v1/batch", json={"jobs": [HELLO] * 2})

    assert (refused.status_code, refused.json["code"]) == (429, "queue-full")
    assert refused.headers["Retry-After"] == "60"  # nothing has ended for a minute
    assert batch.status_code == 429
    assert other.post("/v1/jobs", json=HELLO).status_code == 202
    hog.post(f"/v1/tasks/{first}/cancel")
    assert hog.post("/v1/jobs", json=HELLO).status_code == 202
    again = hog.post("/v1/jobs", json=HELLO)
    assert (again.status_code, again.headers["Retry-After"]) == (429, "60")


@pytest.mark.parametrize(
    ("over", "finished", "seconds"), [(1, 0, 60), (1, 600, 1), (50, 10, 300), (10_000, 60, 600), (1, 60, 1)]
)
def test_retry_after_follows_from_throughput(over: int, finished: int, seconds: int) -> None:
    assert seconds_until_space(over, queue_depth.CompletionRate(finished, 60)) == seconds
