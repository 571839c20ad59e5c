"""Script jobs in a running installation: written once for many, within budgets, with what they used written down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from shared.db import transaction
from shared.errors import QuotaExceeded, ScriptInvalid
from shared.lifecycle import cancellation
from shared.models import Account, Job, Usage
from shared.settings import settings
from shared.states import State
from tasks import run
from tasks.attempt import Attempt
from tasks.script import write_task as script
from tests import factories
from tests.loopback import llm
from tests.loopback.llm import LoopbackModel

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from shared.settings import Settings

pytestmark = pytest.mark.services

BRIEF = {"topic": "How a reef is born", "scenes": 4}


@pytest.fixture
def model(process: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        for name, value in {
            "LLM_BASE_URL": server.base_url,
            "LLM_MODEL": "tiny",
            "LLM_API_KEY": "sk-test",
            "PRICE_TOKENS": "1.0",
        }.items():
            monkeypatch.setenv(f"SCENEMILL_{name}", value)
        settings.cache_clear()
        script.model_endpoints.cache_clear()
        yield server
    script.model_endpoints.cache_clear()


def posted(account_id: uuid.UUID | None = None, **spec: Any) -> Job:
    with transaction() as session:
        whole = {"kind": "script", "brief": BRIEF, **spec}
        return factories.job(session, account_id, kind="script", spec=whole, published_at=datetime.now(UTC))


def after(job: Job) -> Job:
    with transaction() as session:
        return session.scalars(select(Job).where(Job.id == job.id)).one()


def used(account_id: uuid.UUID) -> tuple[int, float]:
    """How many entries the ledger has, and how many tokens they sum to."""
    with transaction() as session:
        total = select(func.count(), func.coalesce(func.sum(Usage.amount), 0.0))
        return tuple(session.execute(total.where(Usage.account_id == account_id)).one())  # type: ignore[return-value]


def test_a_script_job_ends_with_a_script_and_what_it_used(model: LoopbackModel) -> None:
    job = posted()

    run.run_job(str(job.id), script.perform, run.claim_queued(script.Stage.WRITING))

    ended = after(job)
    assert ended.state == State.SUCCEEDED
    assert ended.result is not None
    assert ended.result["model"] == "tiny"
    assert ended.result["cached"] is False
    assert ended.result["usage"]["llm_tokens"] > 0
    assert used(job.account_id) == (1, ended.result["usage"]["llm_tokens"])


def test_fifty_equal_briefs_at_once_make_one_call(model: LoopbackModel) -> None:
    jobs = [posted()]
    jobs += [posted(jobs[0].account_id) for _ in range(49)]

    with ThreadPoolExecutor(25) as pool:
        written = list(pool.map(lambda job: script.write_job_script(Attempt(job, Path())), jobs))

    assert len(model.requests) == 1
    assert sum(not one.cached for one in written) == 1
    assert len({str(one.document) for one in written}) == 1
    assert used(jobs[0].account_id)[0] == 1


def test_another_account_and_a_refresh_compute_again(model: LoopbackModel) -> None:
    job = posted()
    script.write_job_script(Attempt(job, Path()))

    script.write_job_script(Attempt(posted(), Path()))
    again = script.write_job_script(Attempt(posted(job.account_id, no_cache=True), Path()))

    assert len(model.requests) == 3
    assert not again.cached


def test_a_budget_stops_before_the_call_that_would_break_it(model: LoopbackModel) -> None:
    job = posted(budget=0.001)

    with pytest.raises(QuotaExceeded):
        script.write_job_script(Attempt(job, Path()))

    assert model.requests == []
    assert used(job.account_id) == (0, 0.0)


def test_an_account_without_money_left_is_stopped_too(model: LoopbackModel) -> None:
    job = posted()
    with transaction() as session:
        session.execute(update(Account).where(Account.id == job.account_id).values(budget=0.5))

    run.run_job(str(job.id), script.perform, run.claim_queued(script.Stage.WRITING))

    ended = after(job)
    assert ended.error is not None
    assert ended.error["code"] == "quota-exceeded"
    assert model.requests == []


def test_a_canceled_job_stops_waiting_for_a_silent_model(
    model: LoopbackModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCENEMILL_HEARTBEAT_INTERVAL", "0.2")
    settings.cache_clear()
    model.always(llm.hangs(5))
    job = posted()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(
            run.run_job, str(job.id), script.perform, run.claim_queued(script.Stage.WRITING)
        )
        deadline = time.monotonic() + 10
        while not model.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with transaction() as session:
            assert cancellation.cancel(session, job.account_id, job.id) == State.CANCELING
        working.result(2.2)  # a heartbeat and two seconds

    assert after(job).state == State.CANCELED


def test_tokens_of_a_failed_attempt_are_recorded(model: LoopbackModel) -> None:
    model.always(llm.says({"no": "script"}))
    job = posted()

    with pytest.raises(ScriptInvalid):
        script.write_job_script(Attempt(job, Path()))

    calls, tokens = used(job.account_id)
    assert calls == len(model.requests) > 1
    assert tokens > 0
