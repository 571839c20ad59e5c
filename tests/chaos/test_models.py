"""A language model that fails in every way: script jobs end all the same, and budgets hold while they do."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import invariants, load
from tests.chaos.world import World
from tests.loopback import llm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loopback.server import Asked, Handler

pytestmark = [pytest.mark.chaos, pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(300)]


def soon(handler: Handler, asked: Asked) -> None:
    """Name a moment that is still to come when it is read."""
    moment = datetime.now(UTC) + timedelta(seconds=2)
    llm.status(429, headers=llm.retry_at(moment))(handler, asked)


FAULTS: dict[str, Any] = {
    "429 in seconds": llm.status(429, headers={"Retry-After": "1"}),
    "429 at a date": soon,
    "429 in a year": llm.status(429, headers={"Retry-After": "31536000"}),
    "429 at nonsense": llm.status(429, headers={"Retry-After": "soon"}),
    "500": llm.status(500),
    "503": llm.status(503),
    "hang before headers": llm.hangs(8),
    "hang in the body": llm.hangs_in_the_body(8),
    "reset": llm.resets,
    "HTML": llm.html(),
    "truncated JSON": llm.cut_off,
    "wrong schema": llm.says('{"scenes": "none"}'),
    "50 MB": llm.huge(50_000_000),
}


@pytest.fixture(scope="module")
def model() -> Iterator[llm.LoopbackModel]:
    with llm.LoopbackModel() as server:
        yield server


@pytest.fixture(scope="module")
def world(model: llm.LoopbackModel, seed: int) -> Iterator[World]:
    settings = {
        "SCENEMILL_LLM_BASE_URL": model.base_url,
        "SCENEMILL_LLM_MODEL": "small",
        "SCENEMILL_LLM_API_KEY": "sk-chaos-0123456789",
        "SCENEMILL_PRICE_TOKENS": "1000",
    }
    with (
        tempfile.TemporaryDirectory(prefix="scenemill-chaos-") as folder,
        World(Path(folder).resolve(), seed, settings) as one,
    ):
        yield one


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_once_fails_no_job(world: World, model: llm.LoopbackModel, fault: str) -> None:
    asked = len(model.requests)
    model.then(FAULTS[fault])

    task_id = world.post(load.script(world.rng), hook=True)

    if fault == "429 in a year":  # it may come back by another way than waiting, but it must not hold a slot
        world.wait(lambda: len(model.requests) > asked, "the model to be asked")
        assert world.end(world.post(load.script(world.rng)), 30) == "succeeded"
        world.cancel(task_id)
        assert world.end(task_id) == "canceled"
    else:
        assert world.ends([task_id], 120) == ["succeeded"]
        assert world.state(task_id).result["model"] == "small"  # and not the outliner in its place
    world.hit(f"F14 {fault}", f"it was asked {len(model.requests) - asked} times")
    assert len(model.requests) > asked + 1


def test_budgets_hold_and_all_invariants_with_them(world: World) -> None:
    key = world.new_account("thrifty")
    world.execute("UPDATE accounts SET budget = 500 WHERE name = 'thrifty'")

    ends = {world.end(world.post(load.script(world.rng), key=key), 60) for _ in range(6)}

    assert "failed" in ends  # 150 tokens each at a price of 1 each: the fourth is one too many
    invariants.assert_all(world)
