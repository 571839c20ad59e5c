"""/v1/batch."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from shared.db import transaction
from shared.models import Job
from shared.states import State
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_tasks import put

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def test_a_batch_is_taken_with_its_defaults(client: Client) -> None:
    jobs = [
        {"custom_id": "one", "script": HELLO["script"]},
        {"custom_id": "two", "script": HELLO["script"], "metadata": {"b": "2"}},
    ]
    defaults = {"kind": "video", "output": {"resolution": "360p"}, "metadata": {"a": "1"}, "priority": "bulk"}

    answer = client.post("/v1/batch", json={"jobs": jobs, "defaults": defaults})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/batch/{answer.json['batch_id']}"
    assert answer.json["counts"]["queued"] == 2
    with transaction() as session:
        rows = {
            row.custom_id: row
            for row in session.scalars(select(Job).where(Job.account_id == client.account_id))
        }
    assert [str(rows[name].id) for name in ("one", "two")] == answer.json["task_ids"]
    assert rows["two"].meta == {"a": "1", "b": "2"}
    assert rows["one"].spec["output"]["resolution"] == "360p"
    assert rows["one"].priority == "bulk"


def test_of_a_batch_with_bad_jobs_none_is_taken_and_all_bad_ones_are_named(client: Client) -> None:
    jobs = [HELLO] * 20
    jobs[17] = {"kind": "video", "script": {"scenes": [{"narration": "x", "bogus": 1}]}}
    jobs[3] = {"kind": "film"}

    answer = client.post("/v1/batch", json={"jobs": jobs})

    assert answer.status_code == 422
    places = [error["pointer"] for error in answer.json["errors"]]
    assert places == ["#/jobs/3/kind", "#/jobs/17/script/scenes/0/bogus"]
    assert client.get("/v1/tasks").json["data"] == []


def test_missing_assets_are_named_by_their_job(client: Client) -> None:
    missing = {"scenes": [{"duration": 1, "visual": {"type": "image", "src": f"asset:{uuid.uuid4()}"}}]}

    own = client.post("/v1/batch", json={"jobs": [HELLO, {"kind": "video", "script": missing}]})
    shared = client.post(
        "/v1/batch", json={"jobs": [{}, {}], "defaults": {"kind": "video", "script": missing}}
    )

    assert [error["pointer"] for error in own.json["errors"]] == ["#/jobs/1/script/scenes/0/visual/src"]
    assert [error["pointer"] for error in shared.json["errors"]] == ["#/defaults/script/scenes/0/visual/src"]


@pytest.mark.parametrize("jobs", [[], [HELLO] * 1001, "no", None])
def test_a_batch_has_one_to_a_thousand_jobs(client: Client, jobs: object) -> None:
    answer = client.post("/v1/batch", json={"jobs": jobs})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "#/jobs"


def test_a_batch_is_taken_once_under_its_key(client: Client) -> None:
    body = {"jobs": [HELLO] * 3}
    first = client.post("/v1/batch", json=body, headers={"Idempotency-Key": "batch"})
    again = client.post("/v1/batch", json=body, headers={"Idempotency-Key": "batch"})

    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/v1/tasks").json["data"]) == 3


def test_a_batch_tells_how_far_it_is(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 4}).json
    path = f"/v1/batch/{batch['batch_id']}"
    put(batch["task_ids"][0], state=State.RUNNING, progress=0.5)
    client.post(f"/v1/tasks/{batch['task_ids'][1]}/cancel")

    shown = client.get(path).json

    assert shown["status"] == "running"
    assert shown["counts"] == {
        "queued": 2, "running": 1, "canceling": 0, "succeeded": 0, "failed": 0, "canceled": 1,
    }  # fmt: skip
    assert shown["progress"] == pytest.approx(1.5 / 4)
    assert shown["finished_at"] is None
    tasks = client.get(f"{path}/tasks?status=queued").json["data"]
    assert {task["batch_id"] for task in tasks} == {batch["batch_id"]}
    assert len(tasks) == 2


def test_a_canceled_batch_is_finished(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 3}).json

    answer = client.post(f"/v1/batch/{batch['batch_id']}/cancel")

    assert answer.status_code == 202
    assert answer.json["counts"]["canceled"] == 3
    assert (answer.json["status"], answer.json["progress"]) == ("finished", 1.0)
    assert answer.json["finished_at"]


def test_only_failed_tasks_of_a_batch_run_again(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 3}).json
    put(batch["task_ids"][0], state=State.FAILED)
    put(batch["task_ids"][1], state=State.SUCCEEDED)

    answer = client.post(f"/v1/batch/{batch['batch_id']}/retry")

    assert answer.status_code == 202
    assert (answer.json["counts"]["queued"], answer.json["counts"]["succeeded"]) == (2, 1)


def test_a_batch_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    path = f"/v1/batch/{stranger.post('/v1/batch', json={'jobs': [HELLO]}).json['batch_id']}"

    asked = [("GET", ""), ("GET", "/tasks"), ("POST", "/cancel"), ("POST", "/retry")]

    assert {client.ask(method, path + suffix).status_code for method, suffix in asked} == {404}
