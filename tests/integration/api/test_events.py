"""Server-Sent Events: /v1/tasks/{id}/events, /v1/batch/{id}/events, /v1/events."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, update

from api.tasks import account_feed, change_poller, progress_queries, sse_stream, task_changes
from shared.db import transaction
from shared.models import Job
from shared.states import Stage, State
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_batch import end
from tests.integration.api.test_tasks import put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


@dataclass
class Told:
    name: str
    id: str
    data: dict[str, Any]


def events(client: Client, path: str, *, after: str | None = None) -> Iterator[Told]:
    """Give a stream's events as they come; it is closed with the iterator."""
    headers = {"Authorization": f"Bearer {client.key}"}
    answer = client.flask.get(
        path, headers={**headers, **({"Last-Event-ID": after} if after else {})}, buffered=False
    )
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    try:
        for frame in answer.response:
            lines = dict(
                line.split(": ", 1) for line in frame.decode().strip().splitlines() if line[0] != ":"
            )
            if "event" in lines:
                yield Told(lines["event"], lines["id"], json.loads(lines["data"]))
    finally:
        answer.close()


def test_a_task_stream_ends_with_the_task(client: Client) -> None:
    task_id = client.job()
    stream = events(client, f"/v1/tasks/{task_id}/events")

    told = [next(stream)]
    put(task_id, state=State.RUNNING, stage=Stage.NARRATING)
    told.append(next(stream))
    put(task_id, progress=0.5)
    told.append(next(stream))
    client.post(f"/v1/tasks/{task_id}/cancel")
    told += list(stream)

    assert [(one.name, one.data["status"], one.data["progress"]) for one in told] == [
        ("status", "queued", 0.0), ("status", "running", 0.0), ("progress", "running", 0.5), ("status", "canceled", 0.5),
    ]  # fmt: skip
    assert [int(one.id) for one in told] == sorted(int(one.id) for one in told)
    assert told[-1].data == client.get(f"/v1/tasks/{task_id}").json


def test_a_change_before_the_first_poll_is_delivered(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = client.job()
    add = change_poller.poller.add

    def late(watcher: Any) -> None:
        put(task_id, state=State.RUNNING, stage=Stage.NARRATING)
        add(watcher)

    monkeypatch.setattr(change_poller.poller, "add", late)
    stream = events(client, f"/v1/tasks/{task_id}/events")

    assert [next(stream).data["status"] for _ in range(2)] == ["queued", "running"]
    stream.close()


def test_a_resumed_stream_sends_missed_events_once(client: Client) -> None:
    path = f"/v1/tasks/{(task_id := client.job())}/events"
    first = next(stream := events(client, path))
    stream.close()

    put(task_id, state=State.RUNNING, stage=Stage.NARRATING)
    second = next(stream := events(client, path, after=first.id))
    stream.close()
    timer = threading.Timer(0.6, client.post, (f"/v1/tasks/{task_id}/cancel",))
    timer.start()
    third = list(events(client, path, after=second.id))
    timer.join()

    assert (first.data["status"], second.data["status"]) == ("queued", "running")
    assert [one.data["status"] for one in third] == ["canceled"]
    assert client.get(path, headers={"Last-Event-ID": third[0].id}).status_code == 204


@pytest.mark.parametrize("known", [None, "0", "999", "1.5", "no-id", "x" * 1000], ids=repr)
def test_a_resumed_stream_sends_the_final_event(client: Client, known: str | None) -> None:
    task_id = client.job()
    client.post(f"/v1/tasks/{task_id}/cancel")

    (told,) = events(client, f"/v1/tasks/{task_id}/events", after=known)

    assert (told.name, told.data["status"]) == ("status", "canceled")


def test_a_client_with_the_final_batch_event_gets_204(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO]}).json
    path = f"/v1/batch/{batch['batch_id']}/events"
    end(batch["task_ids"][0], well=False)
    (last,) = events(client, path)

    over = client.get(path, headers={"Last-Event-ID": last.id})
    client.post(f"/v1/batch/{batch['batch_id']}/retry")
    again = next(stream := events(client, path, after=last.id))
    stream.close()

    assert (over.status_code, over.data) == (204, b"")
    assert "Content-Type" not in over.headers
    assert again.data["status"] == "running"


def test_a_deleted_task_ends_its_stream(client: Client) -> None:
    task_id = client.job()
    stream = events(client, f"/v1/tasks/{task_id}/events")
    next(stream)
    with transaction() as session:
        session.delete(session.get_one(Job, uuid.UUID(task_id)))

    assert list(stream) == []


def test_a_stream_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    batch = stranger.post("/v1/batch", json={"jobs": [HELLO]}).json

    assert client.get(f"/v1/tasks/{batch['task_ids'][0]}/events").status_code == 404
    assert client.get(f"/v1/batch/{batch['batch_id']}/events").status_code == 404
    assert client.get("/v1/events", key=client.key_with("assets:read")).status_code == 403


def test_a_batch_stream_ends_with_the_batch(client: Client) -> None:
    batch = client.post("/v1/batch", json={"jobs": [HELLO] * 2}).json
    stream = events(client, f"/v1/batch/{batch['batch_id']}/events")

    told = [next(stream)]
    for task_id in batch["task_ids"]:
        end(task_id, well=True)
        told.append(next(stream))

    assert list(stream) == []
    assert [one.data["counts"]["succeeded"] for one in told] == [0, 1, 2]
    assert [(one.name, one.data["status"]) for one in told] == [
        ("status", "running"), ("progress", "running"), ("status", "finished"),
    ]  # fmt: skip


def test_an_account_stream_has_its_own_tasks(client: Client, stranger: Client) -> None:
    mine, theirs = client.job(), stranger.job()
    stream = events(client, "/v1/events")
    threading.Timer(0.3, put, (theirs,), {"state": State.RUNNING, "stage": Stage.WRITING}).start()
    timer = threading.Timer(0.5, put, (mine,), {"state": State.RUNNING, "stage": Stage.NARRATING})
    timer.start()

    running = next(one for one in stream if one.data["status"] == "running")
    timer.join()
    end_ = {"state": State.SUCCEEDED, "finished_at": datetime.now(UTC)}
    put(mine, **end_)
    ended = next(stream)
    stream.close()

    assert running.data["task_id"] == ended.data["task_id"] == mine
    assert (ended.name, ended.data["status"]) == ("status", "succeeded")


def test_a_resumed_account_stream_sends_tasks_that_ended_meanwhile(client: Client) -> None:
    task_id = client.job()
    put(task_id, state=State.RUNNING, stage=Stage.NARRATING)
    first = next(stream := events(client, "/v1/events"))
    stream.close()
    put(task_id, state=State.SUCCEEDED, finished_at=func.now())

    again = next(stream := events(client, "/v1/events", after=first.id))
    stream.close()

    assert (again.data["task_id"], again.data["status"]) == (task_id, "succeeded")


def end_all(ids: list[str], **columns: Any) -> None:
    """Have tasks end in one transaction, so that all of them become known at the same moment."""
    ended = {"state": State.CANCELED, "finished_at": func.now(), "version": Job.version + 1, **columns}
    with transaction() as session:
        session.execute(update(Job).where(Job.id.in_(map(uuid.UUID, ids))).values(ended))


def test_an_account_stream_sends_all_tasks_that_end_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_feed, "MAX_DOCUMENTS_PER_POLL", 2)
    monkeypatch.setattr(change_poller, "POLL_SECONDS", 0.02)
    ids = [client.job() for _ in range(7)]
    stream = events(client, "/v1/events")
    threading.Timer(0.1, end_all, (ids,)).start()

    ended = (one.data["task_id"] for one in stream if one.data["status"] == "canceled")
    told = list(itertools.islice(ended, 7))
    stream.close()

    assert sorted(told) == sorted(ids)


def test_a_resumed_account_stream_sends_any_number_of_ended_tasks(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_changes, "PAGE_SIZE", 2)
    monkeypatch.setattr("api.tasks.event_routes.MAX_INITIAL_TASKS", 1)
    monkeypatch.setattr(progress_queries, "COMMIT_LAG_SECONDS", 0.0)
    put(running := client.job(), state=State.RUNNING, stage=Stage.NARRATING)
    last = next(stream := events(client, "/v1/events"))
    stream.close()
    ids = [client.job() for _ in range(5)]
    for task_id in ids:
        end_all([task_id])

    told = [one.data["task_id"] for one in itertools.islice(events(client, "/v1/events", after=last.id), 6)]

    assert told == [*ids, running]


def test_account_streams_end_and_catch_up_after_too_many_ends(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_feed, "MAX_ENDED", 3)
    monkeypatch.setattr(change_poller, "POLL_SECONDS", 0.02)
    put(client.job(), state=State.RUNNING, stage=Stage.NARRATING)
    ids = [client.job() for _ in range(4)]
    stream = events(client, "/v1/events")
    first = next(stream)
    end_all(ids)

    last = [first, *stream][-1]
    monkeypatch.setattr(account_feed, "MAX_ENDED", 50)  # the moment is over
    again = (one.data for one in events(client, "/v1/events", after=last.id))
    told = [next(again)["task_id"] for _ in ids]

    assert sorted(told) == sorted(ids)


def test_an_interrupted_account_stream_resumes_with_the_rest(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_feed, "MAX_DOCUMENTS_PER_POLL", 1)
    monkeypatch.setattr(change_poller, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(progress_queries, "COMMIT_LAG_SECONDS", 20.0)
    ids = [client.job() for _ in range(3)]
    long_ago = func.now() - timedelta(seconds=15)
    threading.Timer(0.1, end_all, (ids,), {"finished_at": long_ago}).start()
    stream = events(client, "/v1/events")
    first = next(one for one in stream if one.data["status"] == "canceled")
    stream.close()

    assert float(first.id) < datetime.now(UTC).timestamp() - 10  # from there on all of them are told again


def test_too_many_streams_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_stream, "MAX_STREAMS_PER_ACCOUNT", 1)
    path = f"/v1/tasks/{client.job()}/events"
    next(stream := events(client, path))

    refused = client.get(path)
    stream.close()
    next(stream := events(client, path))
    stream.close()

    assert (refused.status_code, refused.json["code"]) == (429, "too-many-at-once")
    assert not sse_stream._open_streams  # noqa: SLF001 (nothing is counted twice, or for ever)


def test_an_idle_stream_sends_comments(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_stream, "PING_SECONDS", 0.1)
    headers = {"Authorization": f"Bearer {client.key}"}
    answer = client.flask.get(f"/v1/tasks/{client.job()}/events", headers=headers, buffered=False)
    frames = iter(answer.response)

    assert [next(frames)[:6] for _ in range(4)] == [b"retry:", b"event:", b": noth", b": noth"]
    answer.close()


def test_a_stream_that_is_far_behind_is_ended(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_stream, "MAX_PENDING", 2)
    ids = [client.job() for _ in range(5)]
    stream = events(client, "/v1/events")
    for task_id in ids:
        put(task_id, state=State.RUNNING, stage=Stage.NARRATING)

    assert len({one.data["task_id"] for one in stream}) <= 5  # it ends, and the client comes again
