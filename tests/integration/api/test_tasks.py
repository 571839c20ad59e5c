"""/v1/tasks."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, insert, update
from werkzeug.http import http_date, parse_date

from shared.db import engine, transaction
from shared.lifecycle import listing
from shared.models import Artifact, Job, Segment
from shared.states import SegmentState, Stage, State
from tests.integration.api.conftest import HELLO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

NOWHERE = f"/v1/tasks/{uuid.uuid4()}"


def put(task_id: str, **values: Any) -> None:
    with transaction() as session:
        version = {"version": Job.version + 1}
        session.execute(update(Job).where(Job.id == uuid.UUID(task_id)).values({**version, **values}))


def lay(client: Client, task_id: str, *rows: dict[str, Any]) -> None:
    common = {
        "account_id": client.account_id, "job_id": uuid.UUID(task_id), "frames": 10, "spec": {}, "key": "k", "cached": False,
        "frames_done": 0,
    }  # fmt: skip
    with transaction() as session:
        session.execute(delete(Segment).where(Segment.job_id == uuid.UUID(task_id)))
        for index, row in enumerate(rows):
            session.execute(insert(Segment).values({**common, "id": uuid.uuid4(), "index": index, **row}))


def finish(client: Client, task_id: str, stored: Path, data: bytes = b"0123456789") -> None:
    key = f"artifacts/{task_id}/video.mp4"
    (stored / key).parent.mkdir(parents=True)
    (stored / key).write_bytes(data)
    put(task_id, state=State.SUCCEEDED, progress=1.0, result={"duration": 1.0}, finished_at=datetime.now(UTC))
    with transaction() as session:
        session.add(
            Artifact(
                account_id=client.account_id,
                job_id=uuid.UUID(task_id),
                name="video.mp4",
                position=0,
                storage_key=key,
                media_type="video/mp4",
                bytes=len(data),
                sha256="a" * 64,
                width=640,
                height=360,
                duration=1.0,
            )
        )


def test_tasks_of_others_look_like_unknown_ones(client: Client, stranger: Client) -> None:
    theirs = f"/v1/tasks/{stranger.job()}"

    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")):
        unknown = client.ask(method, NOWHERE + suffix)
        foreign = client.ask(method, theirs + suffix)
        assert unknown.status_code == foreign.status_code == 404
        assert unknown.json["detail"] == foreign.json["detail"]


def test_an_unchanged_task_is_not_sent_again(client: Client) -> None:
    path = f"/v1/tasks/{client.job()}"
    tag = client.get(path).headers["ETag"]

    unchanged = client.get(path, headers={"If-None-Match": tag})
    client.post(f"{path}/cancel")
    changed = client.get(path, headers={"If-None-Match": tag})

    assert unchanged.status_code == 304
    assert unchanged.data == b""
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_only_an_unfinished_task_has_retry_after(client: Client) -> None:
    path = f"/v1/tasks/{client.job()}"
    assert int(client.get(path).headers["Retry-After"]) >= 1

    client.post(f"{path}/cancel")

    assert "Retry-After" not in client.get(path).headers


def test_a_long_poll_returns_as_soon_as_the_task_changes(client: Client) -> None:
    task_id = client.job()
    timer = threading.Timer(0.5, put, (task_id,), {"state": State.RUNNING, "stage": Stage.NARRATING})
    timer.start()
    begun = time.monotonic()

    answer = client.get(f"/v1/tasks/{task_id}?wait=20")

    assert answer.json["stage"] == "narrating"
    assert 0.4 < time.monotonic() - begun < 3
    timer.join()


def test_a_long_poll_times_out(client: Client) -> None:
    begun = time.monotonic()

    answer = client.get(f"/v1/tasks/{client.job()}?wait=0.6")

    assert answer.json["status"] == "queued"
    assert 0.5 < time.monotonic() - begun < 2


def test_a_long_poll_returns_at_once_for_finished_or_unseen_states(client: Client) -> None:
    path = f"/v1/tasks/{client.job()}"
    old = client.get(path).headers["ETag"]
    put(path.rpartition("/")[2], progress=0.5)
    begun = time.monotonic()
    assert client.get(f"{path}?wait=20", headers={"If-None-Match": old}).json["progress"] == 0.5
    client.post(f"{path}/cancel")

    assert client.get(f"{path}?wait=20").json["status"] == "canceled"

    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("wait", ["61", "-1", "soon", "nan", "inf"])
def test_a_wait_beyond_its_bounds_is_refused(client: Client, wait: str) -> None:
    answer = client.get(f"/v1/tasks/{client.job()}?wait={wait}")

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "#/wait"


def test_a_scene_is_done_when_all_its_segments_are(client: Client) -> None:
    task_id = client.job()
    lay(
        client, task_id,
        {"scene_ids": ["a"], "state": SegmentState.DONE, "cached": True, "frames_done": 10},
        {"scene_ids": ["a", "b"], "state": SegmentState.RUNNING, "frames_done": 5},
        {"scene_ids": ["b"], "state": SegmentState.QUEUED},
        {"scene_ids": ["c"], "state": SegmentState.QUEUED},
        {"scene_ids": ["d"], "state": SegmentState.DONE, "cached": True},
    )  # fmt: skip
    put(task_id, state=State.RUNNING, stage=Stage.RENDERING, attempt=1)

    scenes = client.get(f"/v1/tasks/{task_id}").json["scenes"]

    assert [(one["id"], one["status"], one["progress"], one["cached"]) for one in scenes] == [
        ("a", "rendering", 0.75, False),
        ("b", "rendering", 0.25, False),
        ("c", "waiting", 0.0, False),
        ("d", "done", 1.0, True),
    ]


@pytest.mark.parametrize("state", [State.CANCELED, State.FAILED, State.QUEUED])
def test_scenes_of_an_idle_task_are_waiting(client: Client, state: State) -> None:
    task_id = client.job()
    lay(
        client, task_id,
        {"scene_ids": ["a"], "state": SegmentState.DONE},
        {"scene_ids": ["b"], "state": SegmentState.DROPPED, "frames_done": 5},
    )  # fmt: skip
    put(task_id, state=state, attempt=1)

    scenes = client.get(f"/v1/tasks/{task_id}").json["scenes"]

    assert [(one["id"], one["status"]) for one in scenes] == [("a", "done"), ("b", "waiting")]


def test_a_running_task_is_canceling_before_it_is_canceled(client: Client) -> None:
    task_id = client.job()
    put(
        task_id,
        state=State.RUNNING,
        stage=Stage.NARRATING,
        leased_until=datetime.now(UTC) + timedelta(minutes=1),
    )

    answer = client.post(f"/v1/tasks/{task_id}/cancel")

    assert (answer.status_code, answer.json["status"]) == (202, "canceling")
    assert client.delete(f"/v1/tasks/{task_id}").status_code == 409


def test_a_finished_task_cannot_be_canceled(client: Client) -> None:
    path = f"/v1/tasks/{client.job()}"
    assert client.post(f"{path}/cancel").json["status"] == "canceled"

    assert client.post(f"{path}/cancel").status_code == 409


def test_only_failed_and_canceled_tasks_are_retried(client: Client) -> None:
    task_id = client.job()
    assert client.post(f"/v1/tasks/{task_id}/retry").status_code == 409
    put(task_id, state=State.FAILED, error={"code": "render-failed"}, attempt=3)

    answer = client.post(f"/v1/tasks/{task_id}/retry")

    assert answer.status_code == 202
    assert (answer.json["status"], answer.json["error"]) == ("queued", None)


def test_a_deleted_task_is_gone_with_its_files(client: Client, stored: Path) -> None:
    task_id = client.job()
    finish(client, task_id, stored)
    path = f"/v1/tasks/{task_id}"
    assert client.get(f"{path}/artifacts/video.mp4").status_code == 200

    answer = client.delete(path)

    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.get(f"{path}/artifacts/video.mp4").status_code == 404
    assert not (stored / f"artifacts/{task_id}/video.mp4").exists()


def test_a_finished_task_lists_its_files(client: Client, stored: Path) -> None:
    task_id = client.job()
    finish(client, task_id, stored)

    (artifact,) = client.get(f"/v1/tasks/{task_id}").json["result"]["artifacts"]

    assert artifact == {
        "name": "video.mp4", "media_type": "video/mp4", "bytes": 10, "sha256": "a" * 64, "width": 640, "height": 360,
        "duration": 1.0, "url": f"/v1/tasks/{task_id}/artifacts/video.mp4",
    }  # fmt: skip


BEYOND = f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"


@pytest.mark.parametrize(
    ("sent", "status", "data"),
    [
        pytest.param({}, 200, b"0123456789", id="whole"),
        pytest.param({"Range": "bytes=2-4"}, 206, b"234", id="middle"),
        pytest.param({"Range": "bytes=7-"}, 206, b"789", id="from"),
        pytest.param({"Range": "bytes=-2"}, 206, b"89", id="last"),
        pytest.param({"Range": "bytes=5-999"}, 206, b"56789", id="past the end"),
        pytest.param({"Range": "bytes=10-"}, 416, None, id="nothing there"),
        pytest.param({"Range": "bytes=0-1,4-5"}, 200, b"0123456789", id="several"),
        pytest.param({"Range": "lines=0-1"}, 200, b"0123456789", id="other unit"),
        pytest.param({"Range": "bytes=2-4", "If-Range": f'"{"a" * 64}"'}, 206, b"234", id="same"),
        pytest.param({"Range": "bytes=2-4", "If-Range": '"other"'}, 200, b"0123456789", id="changed"),
        pytest.param({"If-None-Match": f'"{"a" * 64}"'}, 304, b"", id="known"),
        pytest.param({"Range": "bytes=-11"}, 206, b"0123456789", id="more of the end than there is"),
        pytest.param({"Range": f"bytes=-{'9' * 300}"}, 206, b"0123456789", id="far more of it"),
        pytest.param({"Range": "bytes=-0"}, 416, None, id="nothing of the end"),
        pytest.param({"Range": f"bytes={'9' * 300}-"}, 416, None, id="far beyond"),
        pytest.param({"Range": f"bytes={'9' * 4500}-"}, 200, b"0123456789", id="no number"),
        pytest.param({"Range": "bytes=2-4", "If-Range": f'W/"{"a" * 64}"'}, 200, b"0123456789", id="weak"),
        pytest.param({"Range": "bytes=2-4", "If-None-Match": f'"{"a" * 64}"'}, 304, b"", id="known in part"),
        pytest.param({"Range": "bytes=2-4", "If-None-Match": '"other"'}, 206, b"234", id="part of another"),
        pytest.param({"Range": "bytes=2-4", "If-Match": f'"{"a" * 64}"'}, 206, b"234", id="part of the same"),
        pytest.param({"If-Match": "*"}, 200, b"0123456789", id="any"),
        pytest.param({"If-Modified-Since": BEYOND}, 200, b"0123456789", id="since no date"),
        pytest.param({"Range": "bytes=2-4", "If-Range": BEYOND}, 200, b"0123456789", id="of no date"),
        pytest.param({"If-Unmodified-Since": BEYOND}, 200, b"0123456789", id="until no date"),
    ],
)
def test_a_file_is_sent_whole_or_in_part(
    client: Client, stored: Path, sent: dict[str, str], status: int, data: bytes | None
) -> None:
    task_id = client.job()
    finish(client, task_id, stored)

    answer = client.get(f"/v1/tasks/{task_id}/artifacts/video.mp4", headers=sent)

    assert answer.status_code == status
    if data is not None:
        assert answer.data == data
        assert answer.headers["ETag"] == f'"{"a" * 64}"'
    if status in (200, 206):
        assert answer.headers["Content-Type"] == "video/mp4"
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */10"
        assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("sent", [{}, {"Range": "bytes=2-4"}], ids=["whole", "in part"])
@pytest.mark.parametrize("tag", ['"other"', f'W/"{"a" * 64}"'], ids=["other", "weak"])
def test_if_match_refuses_another_version(
    client: Client, stored: Path, sent: dict[str, str], tag: str
) -> None:
    task_id = client.job()
    finish(client, task_id, stored)
    path = f"/v1/tasks/{task_id}"

    for each in (path, f"{path}/artifacts/video.mp4"):
        answer = client.get(each, headers={**sent, "If-Match": tag})

        assert (answer.status_code, answer.json["code"]) == (412, "precondition-failed")
        assert answer.mimetype == "application/problem+json"
    assert client.get(path, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(("after", "status"), [(-1, 200), (0, 206), (1, 200)])
def test_if_range_by_date_needs_the_exact_date(client: Client, stored: Path, after: int, status: int) -> None:
    task_id = client.job()
    finish(client, task_id, stored)
    path = f"/v1/tasks/{task_id}/artifacts/video.mp4"
    dated = parse_date(client.get(path).headers["Last-Modified"])
    assert dated is not None

    sent = {"Range": "bytes=2-4", "If-Range": http_date(dated + timedelta(seconds=after))}

    assert client.get(path, headers=sent).status_code == status


def test_only_get_supports_ranges(client: Client, stored: Path) -> None:
    task_id = client.job()
    finish(client, task_id, stored)

    answer = client.ask("HEAD", f"/v1/tasks/{task_id}/artifacts/video.mp4", headers={"Range": "bytes=2-4"})

    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")


def test_a_download_is_sent_as_an_attachment(client: Client, stored: Path) -> None:
    task_id = client.job()
    finish(client, task_id, stored)
    path = f"/v1/tasks/{task_id}/artifacts/video.mp4"

    assert client.get(f"{path}?download=1").headers["Content-Disposition"] == "attachment; filename=video.mp4"
    assert not client.get(path).headers.get("Content-Disposition", "").startswith("attachment")


@pytest.mark.parametrize("name", ["nothing.mp4", "../video.mp4", "..%2f..%2fetc%2fpasswd", "video.mp4/"])
def test_unknown_artifact_names_are_not_found(client: Client, stored: Path, name: str) -> None:
    task_id = client.job()
    finish(client, task_id, stored)

    assert client.get(f"/v1/tasks/{task_id}/artifacts/{name}").status_code == 404


def test_pages_neither_repeat_nor_skip_tasks(client: Client) -> None:
    ids = [client.job() for _ in range(5)]
    first = client.get("/v1/tasks?limit=2").json
    newer = client.job()

    second = client.get(f"/v1/tasks?limit=2&cursor={first['next_cursor']}").json
    third = client.get(f"/v1/tasks?limit=2&cursor={second['next_cursor']}").json

    seen = [task["task_id"] for page in (first, second, third) for task in page["data"]]
    assert seen == ids[::-1]
    assert newer not in seen
    assert third["next_cursor"] is None


def test_jobs_with_equal_timestamps_are_listed_once(client: Client) -> None:
    answer = client.post("/v1/batch", json={"jobs": [HELLO] * 7})
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/v1/tasks?limit=3{cursor and '&cursor=' + cursor}").json
        seen += [task["task_id"] for task in page["data"]]
        cursor = page["next_cursor"]

    assert sorted(seen) == sorted(answer.json["task_ids"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=script", {"script"}),
        ("kind=video", {"plain", "tagged", "canceled"}),
        ("kind=video,script&status=queued", {"plain", "tagged", "script"}),
        ("status=canceled", {"canceled"}),
        ("q=summer", {"tagged"}),
        ("q=campaign:SUMMER", {"tagged"}),
        ("q=plain", {"plain"}),
        ("q=%25", set()),
        ("q=_", set()),
        ("created_after=2020-01-01T00:00:00Z", {"plain", "tagged", "canceled", "script"}),
        ("created_before=2020-01-01T00:00:00Z", set()),
        ("created_before=0001-01-01T00:00:00-00:00:01", set()),
        ("created_after=9999-12-31T23:59:59.999999Z", set()),
        ("created_after=9999-12-31T23:59:59.999Z", set()),
        ("created_after=2020-01-01T00:00:00+02:00&created_before=2999-01-01", {"plain", "tagged", "canceled", "script"}),
    ],
)  # fmt: skip
def test_a_list_is_filtered(client: Client, query: str, found: set[str]) -> None:
    names = {
        client.job({**HELLO, "custom_id": "plain"}): "plain",
        client.job({**HELLO, "metadata": {"campaign": "summer sale"}}): "tagged",
        client.job(): "canceled",
        client.job({"kind": "script", "brief": {"topic": "Tides"}}): "script",
    }
    client.post(f"/v1/tasks/{list(names)[2]}/cancel")

    data = client.get(f"/v1/tasks?{query}").json["data"]

    assert {names[task["task_id"]] for task in data} == found


def test_timestamp_filters_are_exclusive(client: Client) -> None:
    client.job()
    time.sleep(0.002)
    moment = client.get(f"/v1/tasks/{client.job()}").json["created_at"]
    time.sleep(0.002)
    client.job()

    after = client.get("/v1/tasks", query_string={"created_after": moment}).json["data"]
    before = client.get("/v1/tasks", query_string={"created_before": moment}).json["data"]

    assert [task["created_at"] > moment for task in after] == [True]
    assert [task["created_at"] < moment for task in before] == [True]


def test_a_list_shows_only_the_accounts_tasks(client: Client, stranger: Client) -> None:
    stranger.job()
    mine = client.job()

    assert [task["task_id"] for task in client.get("/v1/tasks").json["data"]] == [mine]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=1.5", "limit"), ("limit=1&limit=2", "limit"),
        ("cursor=AAAA", "cursor"), ("cursor=%00", "cursor"), ("status=done", "status"), ("kind=film", "kind"),
        ("created_after=yesterday", "created_after"), ("created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
        ("created_before=9999-12-31T23:59:59-00:01", "created_before"), ("batch_id=1", "batch_id"),
        ("q=", "q"), ("stat=queued", "stat"),
    ],
)  # fmt: skip
def test_an_invalid_filter_is_reported(client: Client, query: str, name: str) -> None:
    answer = client.get(f"/v1/tasks?{query}")

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [f"#/{name}"]


def test_a_page_of_tasks_costs_few_queries(client: Client) -> None:
    client.post("/v1/batch", json={"jobs": [HELLO] * 30})
    statements: list[str] = []

    def count(*args: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # publishing goes on beside
            statements.append(args[2])

    event.listen(engine(), "before_cursor_execute", count)
    assert len(client.get("/v1/tasks?limit=30").json["data"]) == 30
    event.remove(engine(), "before_cursor_execute", count)

    assert len(statements) <= 6, statements


def test_a_page_of_large_results_ends_early_without_loss(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGE_BYTES", 100_000)
    ids = [client.job() for _ in range(5)]
    for task_id in ids[:4]:
        noise = [uuid.uuid4().hex for _ in range(2000)]  # nothing that could be compressed
        put(task_id, state=State.SUCCEEDED, result={"duration": 1.0, "warnings": noise})
    pages, cursor = [], ""

    while cursor is not None:
        page = client.get(f"/v1/tasks{cursor and '?cursor=' + cursor}").json
        pages.append([task["task_id"] for task in page["data"]])
        cursor = page["next_cursor"]

    assert [task_id for page in pages for task_id in page] == ids[::-1]
    assert len(pages) == 4
