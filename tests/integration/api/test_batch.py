"""/v1/batch."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from api.batches import batch_import
from api.batches import routes as batch_views
from shared.db import transaction
from shared.errors import RenderFailed
from shared.lifecycle import jobs
from shared.models import Batch, Job
from shared.states import State
from tests import factories
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_tasks import put

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def test_a_batch_is_accepted_with_its_defaults(client: Client) -> None:
    given = [
        {"custom_id": "one", "script": HELLO["script"]},
        {"custom_id": "two", "script": HELLO["script"], "metadata": {"b": "2"}},
    ]
    defaults = {"kind": "video", "output": {"resolution": "360p"}, "metadata": {"a": "1"}, "priority": "bulk"}

    answer = client.post("/v1/batch", json={"jobs": given, "defaults": defaults})

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


def test_a_batch_with_invalid_jobs_is_refused_with_all_of_them(client: Client) -> None:
    given = [HELLO] * 20
    given[17] = {"kind": "video", "script": {"scenes": [{"narration": "x", "bogus": 1}]}}
    given[3] = {"kind": "film"}

    answer = client.post("/v1/batch", json={"jobs": given})

    assert answer.status_code == 422
    places = [error["pointer"] for error in answer.json["errors"]]
    assert places == ["#/jobs/3/kind", "#/jobs/17/script/scenes/0/bogus"]
    assert client.get("/v1/tasks").json["data"] == []


@pytest.mark.parametrize("type_", ["image", "video"])
def test_missing_and_unfit_assets_are_reported_by_job(client: Client, type_: str) -> None:
    name = uuid.uuid4() if type_ == "image" else client.asset()  # which is an image
    missing = {"scenes": [{"duration": 1, "visual": {"type": type_, "src": f"asset:{name}"}}]}

    own = client.post("/v1/batch", json={"jobs": [HELLO, {"kind": "video", "script": missing}]})
    shared = client.post(
        "/v1/batch", json={"jobs": [{}, {}], "defaults": {"kind": "video", "script": missing}}
    )

    assert [error["pointer"] for error in own.json["errors"]] == ["#/jobs/1/script/scenes/0/visual/src"]
    assert [error["pointer"] for error in shared.json["errors"]] == ["#/defaults/script/scenes/0/visual/src"]


def test_unknown_voices_are_reported_by_job_or_in_the_defaults(client: Client) -> None:
    nobody = {"scenes": [{"narration": {"text": "Hello.", "voice": {"name": "nobody"}}}]}
    brief = {"topic": "Honour", "language": "tlh"}

    own = client.post(
        "/v1/batch",
        json={
            "on_invalid": "skip",
            "jobs": [HELLO, {"kind": "video", "script": nobody}, {"kind": "script", "brief": brief}],
        },
    )
    shared = client.post("/v1/batch", json={"jobs": [{}, {}], "defaults": {"kind": "video", "brief": brief}})

    assert [error["pointer"] for error in own.json["skipped"][0]["errors"]] == [
        "#/jobs/1/script/scenes/0/narration/voice/name"
    ]
    assert own.json["counts"]["queued"] == 2
    assert [error["pointer"] for error in shared.json["errors"]] == ["#/defaults/brief/language"]


@pytest.mark.parametrize("given", [[], [HELLO] * 10_001, "no", None])
def test_a_batch_has_one_to_ten_thousand_jobs(client: Client, given: object) -> None:
    answer = client.post("/v1/batch", json={"jobs": given})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "#/jobs"


def test_a_batch_is_accepted_once_per_idempotency_key(client: Client) -> None:
    body = {"jobs": [HELLO] * 3}
    first = client.post("/v1/batch", json=body, headers={"Idempotency-Key": "batch"})
    again = client.post("/v1/batch", json=body, headers={"Idempotency-Key": "batch"})

    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/v1/tasks").json["data"]) == 3


def test_a_batch_shows_its_progress(client: Client) -> None:
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


def end(task_id: str, *, well: bool) -> None:
    with transaction() as session:
        job = factories.claim(session, uuid.UUID(task_id), lease=timedelta(minutes=1))
        assert job is not None
        if well:
            assert jobs.succeed(session, job, {"duration": 1.0})
        else:
            assert jobs.fail(session, job.id, job.attempt, RenderFailed("No picture."))


def test_only_failed_tasks_of_a_batch_are_retried(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 3}).json
    end(batch["task_ids"][0], well=False)
    end(batch["task_ids"][1], well=True)
    path = f"/v1/batch/{batch['batch_id']}"
    assert client.get(path).json["counts"]["failed"] == 1

    answer = client.post(f"{path}/retry")

    assert answer.status_code == 202
    assert (answer.json["counts"]["queued"], answer.json["counts"]["succeeded"]) == (2, 1)


def test_a_batch_is_finished_when_its_last_task_ends(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 2}).json
    for task_id in batch["task_ids"]:
        end(task_id, well=True)

    shown = client.get(f"/v1/batch/{batch['batch_id']}").json

    assert (shown["status"], shown["progress"], shown["counts"]["succeeded"]) == ("finished", 1.0, 2)
    assert shown["finished_at"]


def test_invalid_jobs_are_skipped_on_request(client: Client) -> None:
    jobs_ = [HELLO, {"kind": "film"}, HELLO, {"kind": "video", "template_id": "none-such", "fields": {}}, 7]

    answer = client.post("/v1/batch", json={"jobs": jobs_, "on_invalid": "skip"})

    assert answer.status_code == 202
    assert answer.json["counts"]["queued"] == len(answer.json["task_ids"]) == 2
    assert [(one["index"], one["errors"][0]["pointer"]) for one in answer.json["skipped"]] == [
        (1, "#/jobs/1/kind"), (3, "#/jobs/3/template_id"), (4, "#/jobs/4"),
    ]  # fmt: skip
    shown = client.get(f"/v1/batch/{answer.json['batch_id']}").json
    assert shown["counts"]["queued"] == 2


def test_a_batch_without_a_valid_job_is_refused_even_with_skip(client: Client) -> None:
    answer = client.post("/v1/batch", json={"jobs": [{"kind": "film"}], "on_invalid": "skip"})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/jobs/0/kind")
    assert client.get("/v1/tasks").json["data"] == []


def test_every_invalid_job_is_reported_wherever_it_is(client: Client) -> None:
    unknown = {"kind": "video", "template_id": "none-such", "fields": {}}
    jobs_ = [HELLO] * 600
    jobs_[3], jobs_[255], jobs_[599] = unknown, {"kind": "film"}, unknown

    answer = client.post("/v1/batch", json={"jobs": jobs_})

    assert [error["pointer"] for error in answer.json["errors"]] == [
        "#/jobs/3/template_id", "#/jobs/255/kind", "#/jobs/599/template_id",
    ]  # fmt: skip
    assert client.get("/v1/tasks").json["data"] == []


def test_every_invalid_job_is_reported_however_many_there_are(client: Client) -> None:
    unknown = {"kind": "video", "template_id": "none-such", "fields": {}}
    jobs_ = [(HELLO, {"kind": "film"}, HELLO, unknown)[at % 4] for at in range(3000)]

    answer = client.post("/v1/batch", json={"jobs": jobs_})

    assert answer.status_code == 422
    named = {int(error["pointer"].split("/")[2]) for error in answer.json["errors"]}
    assert named == set(range(1, 3000, 2))
    assert len(answer.json["errors"]) == 1500
    assert answer.json["detail"] == (
        "1500 or more values are wrong. Listed are the first 1000, and one of each further job."
    )
    assert client.get("/v1/tasks").json["data"] == []


@pytest.mark.parametrize(("on_invalid", "listed"), [("reject", 1000 + 9), ("skip", 12 * 10)])
def test_beyond_a_thousand_errors_one_of_each_job_is_listed(
    client: Client, on_invalid: str, listed: int
) -> None:
    bad = {"kind": "video", "script": {"scenes": [{"bogus": 1}] * 400}}

    answer = client.post("/v1/batch", json={"jobs": [bad] * 12, "on_invalid": on_invalid})

    assert answer.status_code == 422
    named = Counter(int(error["pointer"].split("/")[2]) for error in answer.json["errors"])
    assert set(named) == set(range(12))
    assert named.total() == listed
    assert answer.json["detail"].startswith(f"{listed} or more values are wrong.")


def test_many_template_errors_hide_no_invalid_job(client: Client) -> None:
    bad = {"kind": "video", "template_id": "product-card", "fields": {f"f{n}": 1 for n in range(100)}}

    answer = client.post("/v1/batch", json={"jobs": [bad] * 30})

    named = {int(error["pointer"].split("/")[2]) for error in answer.json["errors"]}
    assert named == set(range(30))


def test_results_are_streamed_one_per_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_views, "PAGE_SIZE", 3)
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 7}).json
    end(batch["task_ids"][2], well=True)

    answer = client.get(f"/v1/batch/{batch['batch_id']}/results")

    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
    tasks = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted(task["task_id"] for task in tasks) == sorted(batch["task_ids"])
    assert [task["task_id"] for task in tasks if task["status"] == "succeeded"] == [batch["task_ids"][2]]


def test_a_batch_is_listed_in_the_order_of_submission(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_views, "PAGE_SIZE", 4)
    monkeypatch.setattr(batch_import, "CHUNK_JOBS", 3)
    given = [{**HELLO, "custom_id": str(number)} for number in range(11)]
    given[5] = {"kind": "film"}
    batch = client.post("/v1/batch", json={"jobs": given, "on_invalid": "skip"}).json
    client.post("/v1/batch", json={"jobs": [HELLO] * 3})
    path = f"/v1/batch/{batch['batch_id']}"

    results = [json.loads(line) for line in client.get(f"{path}/results").text.splitlines()]
    pages = [client.get(f"{path}/tasks?limit=6").json]
    pages.append(client.get(f"{path}/tasks?limit=6&cursor={pages[0]['next_cursor']}").json)
    listed = client.get(f"/v1/tasks?batch_id={batch['batch_id']}&status=queued").json["data"]

    expected = [str(number) for number in range(11) if number != 5]
    assert batch["task_ids"] == [task["task_id"] for task in results]
    assert [task["custom_id"] for task in results] == expected
    assert [task["custom_id"] for page in pages for task in page["data"]] == expected
    assert pages[1]["next_cursor"] is None
    assert [task["custom_id"] for task in listed] == expected


def test_a_finished_batch_is_deleted_with_its_last_task(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 2}).json
    path = f"/v1/batch/{batch['batch_id']}"
    client.post(f"{path}/cancel")

    def delete(task_id: str) -> tuple[int, int]:
        deleted = client.ask("DELETE", f"/v1/tasks/{task_id}")
        return deleted.status_code, client.get(path).status_code

    assert [delete(task_id) for task_id in batch["task_ids"]] == [(204, 200), (204, 404)]


def test_a_finished_batch_calls_its_webhook(client: Client) -> None:
    url = "https://192.0.2.1/hook"
    refused = client.post("/v1/batch", json={"jobs": [HELLO], "webhook": {"url": url}})
    inner = client.post("/v1/batch", json={"jobs": [HELLO, {**HELLO, "webhook": {"url": url}}]})
    usual = client.post("/v1/batch", json={"jobs": [HELLO], "defaults": {"webhook": {"url": url}}})
    taken = client.post("/v1/batch", json={"jobs": [HELLO], "webhook": {"url": "https://1.1.1.1/hook"}})

    assert [error["pointer"] for error in refused.json["errors"]] == ["#/webhook/url"]
    assert [error["pointer"] for error in inner.json["errors"]] == ["#/jobs/1/webhook/url"]
    assert [error["pointer"] for error in usual.json["errors"]] == ["#/defaults/webhook/url"]
    with transaction() as session:
        row = session.get_one(Batch, uuid.UUID(taken.json["batch_id"]))
    assert row.webhook == {"url": "https://1.1.1.1/hook"}


def test_a_batchs_webhook_may_name_its_event(client: Client) -> None:
    def hooked(*events: str) -> TestResponse:
        hook = {"url": "https://1.1.1.1/hook", "events": list(events)}
        return client.post("/v1/batch", json={"jobs": [HELLO], "webhook": hook})

    assert hooked("batch.finished").status_code == 202
    assert [error["pointer"] for error in hooked("task.failed").json["errors"]] == ["#/webhook/events/0"]


def test_a_batch_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    path = f"/v1/batch/{stranger.post('/v1/batch', json={'jobs': [HELLO]}).json['batch_id']}"

    asked = [("GET", ""), ("GET", "/tasks"), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/results")]

    assert {client.ask(method, path + suffix).status_code for method, suffix in asked} == {404}
