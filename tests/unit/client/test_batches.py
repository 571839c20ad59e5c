"""Batches: streamed generators that can be sent again, files, and results that break off."""

from __future__ import annotations

import json

import anyio
import anyio.lowlevel
import pytest

from scenemill import AsyncScenemill, Scenemill, Unreachable, WaitTimeout
from tests.unit.client.answers import BATCH, TASK, answer
from tests.unit.client.conftest import Broken

ACCEPTED = {"batch_id": "b1", "counts": {"queued": 3}, "task_ids": ["t1", "t2", "t3"], "skipped": []}


@pytest.fixture
def wide(monkeypatch):
    """Make each job a block of its own."""
    monkeypatch.setattr("scenemill.calls.batches.BLOCK", 1)


@pytest.mark.usefixtures("wide")
def test_a_generator_is_read_once_and_sent_again_whole(connect, server):
    server.answers = [answer(503, {"title": "Away"}), answer(202, ACCEPTED)]
    read = []

    def jobs():
        for number in range(3):
            read.append(number)
            yield {"custom_id": str(number)}

    with connect(server.url, "key") as api:
        batch = api.batches.submit(jobs(), defaults={"kind": "script"}, on_invalid="skip")

    first, second = server.requests
    assert batch.task_ids == ("t1", "t2", "t3")
    assert read == [0, 1, 2]
    assert first["body"] == second["body"]
    assert [json.loads(line) for line in second["body"].splitlines()] == [
        {"kind": "script", "custom_id": str(number)} for number in range(3)
    ]
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]
    assert second["path"] == "/v1/batch?on_invalid=skip"
    assert second["headers"]["content-type"] == "application/x-ndjson"


def test_an_asynchronous_generator_is_for_the_asynchronous_client(server):
    server.answers = [answer(502, {"title": "Bad gateway"}), answer(202, ACCEPTED)]

    async def jobs():
        for number in range(3):
            await anyio.lowlevel.checkpoint()
            yield {"kind": "script", "custom_id": str(number)}

    async def submit():
        async with AsyncScenemill(server.url, "key") as api:
            return await api.batches.submit(jobs(), webhook={"url": "https://example.com/hook"})

    assert anyio.run(submit).id == "b1"
    assert server.requests[0]["body"] == server.requests[1]["body"]
    assert server.requests[1]["path"] == "/v1/batch?webhook=https%3A%2F%2Fexample.com%2Fhook"
    with Scenemill(server.url, "key") as api, pytest.raises(TypeError, match="AsyncScenemill"):
        api.batches.submit(jobs())


def test_a_list_is_one_document(connect, server):
    server.answers = [answer(202, ACCEPTED)]

    with connect(server.url, "key") as api:
        api.batches.submit([{"kind": "script"}], defaults={"priority": "bulk"}, idempotency_key="mine")

    (request,) = server.requests
    assert json.loads(request["body"]) == {"jobs": [{"kind": "script"}], "defaults": {"priority": "bulk"}}
    assert request["headers"]["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("name", "template", "message"),
    [
        ("jobs.txt", None, r"jobs\.txt: a batch comes from"),
        ("jobs.csv", None, "needs the template"),
        ("jobs.ndjson", "greeting", "nothing else has one"),
    ],
)
def test_a_file_that_is_no_batch_is_not_sent(connect, server, tmp_path, name, template, message):
    (tmp_path / name).write_text("x")

    with connect(server.url, "key") as api, pytest.raises(ValueError, match=message):
        api.batches.submit_file(tmp_path / name, template=template)

    assert server.requests == []


def test_a_file_of_lines_is_sent_as_it_is(connect, server, tmp_path):
    server.answers = [answer(503, {"title": "Away"}), answer(202, ACCEPTED)]
    (tmp_path / "jobs.jsonl").write_bytes(b'{"kind": "script"}\n' * 10_000)

    with connect(server.url, "key") as api:
        api.batches.submit_file(tmp_path / "jobs.jsonl")

    assert [request["body"] for request in server.requests] == [b'{"kind": "script"}\n' * 10_000] * 2


def test_results_that_break_off_go_on_without_a_task_twice(connect, server):
    lines = [json.dumps(TASK | {"task_id": f"t{number}"}).encode() + b"\n" for number in range(3)]
    server.answers = [
        Broken(lines[0] + lines[1][:9]),
        Broken(b"".join(lines[:2])),
        (200, {}, b"".join(lines)),
    ]

    with connect(server.url, "key") as api:
        assert [task.id for task in api.batches.results("b1")] == ["t0", "t1", "t2"]


def test_results_that_never_end_are_given_up(connect, server):
    server.answers = [Broken(b"")] * 3

    with connect(server.url, "key") as api, pytest.raises(Unreachable, match="broke off 3 times"):
        list(api.batches.results("b1"))


def test_waiting_for_a_batch_has_an_end(connect, server):
    server.answers = [answer(200, BATCH)] * 3
    seen = []

    with (
        connect(server.url, "key") as api,
        pytest.raises(WaitTimeout, match=r"Batch b1 is still running after 0\.2 s"),
    ):
        api.batches.wait("b1", timeout=0.2, on_change=seen.append)

    assert len(seen) == 1
