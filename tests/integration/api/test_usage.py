"""GET /v1/usage: what was used by month, what is stored, what may be."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from shared import accounts, usage
from shared.db import transaction
from shared.models import Artifact, Job, Usage
from shared.script import speaking_rate
from shared.states import State
from shared.usage import UsageKind
from tests import factories
from tests.integration.api.conftest import HELLO, new_client, picture

if TYPE_CHECKING:
    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services
NOW = datetime.now(UTC)


def use(client: Client, kind: UsageKind, amount: float, cost: float, at: datetime = NOW) -> None:
    with transaction() as session:
        row = {"amount": amount, "cost": cost, "at": at}
        session.add(Usage(account_id=client.account_id, job_id=None, attempt=1, kind=kind, **row))


def test_usage_is_summed_by_month_and_kind(client: Client, stranger: Client) -> None:
    before = NOW.replace(day=1) - timedelta(days=1)
    for amount in (500, 1500):
        use(client, UsageKind.TOKENS, amount, amount / 100)
    use(client, UsageKind.IMAGES, 1, 0.5)
    use(client, UsageKind.RENDER_SECONDS, 8, 0.25, before)
    use(stranger, UsageKind.TOKENS, 7, 7)

    first, second = client.get("/v1/usage").json["months"]

    assert first == {
        "month": f"{NOW:%Y-%m}",
        "cost": 20.5,
        "used": {"tokens": {"amount": 2000, "cost": 20.0}, "images": {"amount": 1, "cost": 0.5}},
    }
    assert second == {
        "month": f"{before:%Y-%m}",
        "cost": 0.25,
        "used": {"render_seconds": {"amount": 8, "cost": 0.25}},
    }
    assert len(client.get("/v1/usage?months=1").json["months"]) == 1


def test_an_unused_account_sees_the_current_month(client: Client, config: Settings) -> None:
    answer = client.get("/v1/usage").json

    assert answer["months"] == [{"month": f"{NOW:%Y-%m}", "cost": 0, "used": {}}]
    assert answer["storage"] == {"bytes": 0, "assets": 0, "artifacts": 0, "cache": 0}
    assert (answer["quotas"]["budget"], answer["quotas"]["budget_left"]) == (None, None)
    limits = {
        "asset_bytes": config.max_asset_bytes,
        "unfinished_uploads": config.max_uploads,
        "batch_jobs": config.max_batch_jobs,
    }
    assert {name: answer["quotas"][name] for name in limits} == limits


def test_a_stored_file_counts_once(client: Client, stranger: Client) -> None:
    data = picture()
    for _ in range(2):
        client.asset(data)
    stranger.asset(picture(32, 32))

    assert client.get("/v1/usage").json["storage"] == {
        "bytes": len(data), "assets": len(data), "artifacts": 0, "cache": 0,
    }  # fmt: skip


def test_artifacts_count_for_their_account(client: Client, stranger: Client) -> None:
    sizes = ((client, (3, 4, 5)), (stranger, (60,)))
    with transaction() as session:
        for one, each in sizes:
            job = factories.job(session, one.account_id, state=State.SUCCEEDED)
            factories.job(session, one.account_id, state=State.SUCCEEDED)
            for number, size in enumerate(each):
                session.add(
                    Artifact(
                        account_id=one.account_id, job_id=job.id, name=str(number), position=number, bytes=size,
                        storage_key=f"{job.id}/{number}", media_type="video/mp4", sha256="",
                    )
                )  # fmt: skip

    assert [one.get("/v1/usage").json["storage"]["artifacts"] for one, _ in sizes] == [12, 60]


def test_the_remaining_budget_is_shown(client: Client) -> None:
    with transaction() as session:
        name = session.get_one(accounts.Account, client.account_id).name
    assert accounts.main(["budget", name, "12.5"]) == 0
    use(client, UsageKind.IMAGES, 1, 2.0)
    use(client, UsageKind.IMAGES, 1, 99.0, NOW - timedelta(days=40))

    quotas = client.get("/v1/usage").json["quotas"]

    assert (quotas["budget"], quotas["budget_left"]) == (12.5, 10.5)
    assert accounts.main(["budget", name, "none"]) == 0
    assert client.get("/v1/usage").json["quotas"]["budget"] is None


@pytest.mark.parametrize(
    "arguments", [["budget", "nobody", "1"], ["budget", "nobody", "-1"], ["budget", "x", "much"]]
)
def test_the_accounts_command_refuses_an_invalid_budget(client: Client, arguments: list[str]) -> None:
    assert accounts.main(arguments) in (1, 2)


def test_usage_needs_its_scope(client: Client) -> None:
    assert client.get("/v1/usage", key=client.key_with("jobs:write")).status_code == 403


def test_a_jobs_budget_limits_its_cost(client: Client, config: Settings) -> None:
    task_id = client.job({**HELLO, "budget": 0.5})
    with transaction() as session:
        job = session.get_one(Job, uuid.UUID(task_id))
        priced = config.model_copy(update={"price_images": 0.4})
        usage.check_budget(session, job, UsageKind.IMAGES, 1, priced)
        with pytest.raises(usage.QuotaExceeded, match="job's budget"):
            usage.check_budget(session, job, UsageKind.IMAGES, 2, priced)

    for wrong in (0, -1, "1", None):
        answer = client.post("/v1/jobs", json={**HELLO, "budget": wrong})
        assert [each["pointer"] for each in answer.json["errors"]] == ["#/budget"]


def test_a_dry_run_shows_the_cost_and_warns_of_an_exceeded_budget(config: Settings) -> None:
    prices = {"price_characters": 10.0, "price_render_seconds": 1.0, "price_images": 2.0}
    served = {**prices, "speech_base_url": "http://x", "price_transcription": 60.0}
    client = new_client(create_app(config.model_copy(update=served)))
    free = new_client(create_app(config.model_copy(update=prices)))
    fallback = {"type": "color", "colors": ["#000000"]}
    scene = {
        "narration": "x" * 100,
        "visual": {"type": "generated", "prompt": "A reef", "fallback": fallback},
    }
    job = {"kind": "video", "script": {"scenes": [scene, scene]}}

    estimate = client.post("/v1/jobs?dry_run=true", json=job).json["estimate"]
    tight = client.post("/v1/jobs?dry_run=true", json={**job, "budget": 3}).json

    unserved = free.post("/v1/jobs?dry_run=true", json=job).json["estimate"]

    assert (estimate["speech_characters"], estimate["images"]) == (200, 2)
    heard = 2 * speaking_rate.estimate_speech_seconds("x" * 100)
    assert estimate["cost"] == pytest.approx(2.0 + heard + 4.0 + estimate["render_seconds"], abs=1e-5)
    assert unserved["cost"] == pytest.approx(4.0 + unserved["render_seconds"])
    assert (tight["valid"], ["budget" in each for each in tight["warnings"]]) == (True, [True])


def test_a_brief_costs_no_tokens_without_a_model(config: Settings) -> None:
    brief = {"kind": "script", "brief": {"topic": "Tides"}}
    bare = new_client(create_app(config.model_copy(update={"llm_base_url": "", "llm_model": ""})))
    asking = new_client(create_app(config.model_copy(update={"llm_base_url": "http://x", "llm_model": "m"})))

    tokens = [
        each.post("/v1/jobs?dry_run=true", json=brief).json["estimate"]["llm_tokens"]
        for each in (bare, asking)
    ]

    assert tokens[0] == 0
    assert tokens[1] > 1000
