"""/v1/admin."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from shared.db import transaction
from shared.errors import WorkerLost
from shared.models import Account, Job
from shared.states import State
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_tasks import put

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

ASKED = (
    ("GET", "/v1/admin/accounts"),
    ("GET", "/v1/admin/audit-events"),
    ("GET", "/v1/admin/queues"),
    ("POST", f"/v1/admin/jobs/{uuid.UUID(int=1)}/requeue"),
)


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_only_operators_are_admitted(client: Client, method: str, path: str) -> None:
    key = client.key_with("jobs:read", "jobs:write", "keys:write")

    assert client.ask(method, path, key=key).status_code == 403


def test_an_account_is_created_with_its_weight_and_first_key(client: Client) -> None:
    name = f"new-{uuid.uuid4().hex}"

    made = client.post("/v1/admin/accounts", json={"name": name, "weight": 3, "budget": 20})
    twice = client.post("/v1/admin/accounts", json={"name": name})
    key = client.post(
        f"/v1/admin/accounts/{made.json['account_id']}/keys", json={"name": "first", "scopes": ["jobs:read"]}
    )

    assert (made.status_code, made.json["weight"], made.json["budget"]) == (201, 3, 20.0)
    assert twice.status_code == 409
    assert key.status_code == 201
    assert client.get("/v1/tasks", key=key.json["key"]).json["data"] == []
    assert client.get("/v1/admin/accounts", key=key.json["key"]).status_code == 403


def test_an_accounts_share_can_be_changed(client: Client) -> None:
    path = f"/v1/admin/accounts/{client.account_id}"

    weight = client.ask("PUT", path, json={"weight": 5})
    budget = client.ask("PUT", path, json={"budget": 7.5})
    none = client.ask("PUT", path, json={"budget": None})

    assert [(one.json["weight"], one.json["budget"]) for one in (weight, budget, none)] == [
        (5, None),
        (5, 7.5),
        (5, None),
    ]
    assert client.ask("PUT", f"/v1/admin/accounts/{uuid.uuid4()}", json={}).status_code == 404
    assert client.ask("PUT", path, json={"weight": 0}).status_code == 422
    with transaction() as session:
        assert session.get_one(Account, client.account_id).weight == 5


def test_all_accounts_are_listed_by_name(client: Client, stranger: Client) -> None:
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/v1/admin/accounts", query_string={"limit": 50, "cursor": cursor}).json
        names += [one["name"] for one in page["data"]]
        ids = {one["account_id"] for one in page["data"]}
        cursor = page["next_cursor"]

    assert len(names) == len(set(names)) >= 2
    assert ids


def test_audit_events_are_listed_over_all_accounts(client: Client, stranger: Client) -> None:
    mine, theirs = client.job(), stranger.job()

    everything = client.get("/v1/admin/audit-events?limit=2").json
    older = client.get(f"/v1/admin/audit-events?limit=1&cursor={everything['next_cursor']}").json
    narrowed = client.get(
        f"/v1/admin/audit-events?account_id={stranger.account_id}&action=jobs.submitted"
    ).json["data"]

    assert [one["subject"] for one in everything["data"]] == [theirs, mine]
    assert older["data"][0]["id"] < everything["data"][1]["id"]
    assert [(one["subject"], one["action"]) for one in narrowed] == [(theirs, "jobs.submitted")]


def test_the_queues_are_shown(client: Client) -> None:
    before = client.get("/v1/admin/queues").json
    client.post("/v1/batch", json={"jobs": [HELLO] * 3})
    client.job({"kind": "script", "brief": {"topic": "Tides"}})

    shown = client.get("/v1/admin/queues").json

    assert shown["unfinished"] == before["unfinished"] + 4
    depths = {one["queue"]: one["waiting"] + one["published"] + one["running"] for one in shown["queues"]}
    older = {one["queue"]: one["waiting"] + one["published"] + one["running"] for one in before["queues"]}
    assert (depths["renders"] - older["renders"], depths["scripts"] - older["scripts"]) == (3, 1)
    assert (shown["window"], shown["most"]) == ({"unclaimed": 4, "running": 32}, 100_000)
    assert all(one["oldest_wait"] >= 0 for one in shown["queues"])


def test_quarantined_jobs_are_listed_and_requeued(client: Client, stranger: Client) -> None:
    lost, failed = stranger.job(), stranger.job()
    problem = WorkerLost("Every attempt ended with the loss of its worker.").problem()
    put(lost, state=State.FAILED, error=problem, attempt=5, max_attempts=5)
    put(failed, state=State.FAILED, error={"code": "render-failed"})
    with transaction() as session:
        session.execute(update(Job).where(Job.id == uuid.UUID(lost)).values(finished_at=Job.created_at))

    shown = [one["task_id"] for one in client.get("/v1/admin/queues").json["quarantined"]]
    answers = [
        client.post(f"/v1/admin/jobs/{task_id}/requeue").status_code for task_id in (lost, failed, lost)
    ]

    assert lost in shown
    assert failed not in shown
    assert answers == [204, 404, 404]
    task = stranger.get(f"/v1/tasks/{lost}").json
    assert (task["status"], task["error"]) == ("queued", None)
    assert client.get(f"/v1/tasks/{lost}").status_code == 404  # an operator's key is still its own account's
