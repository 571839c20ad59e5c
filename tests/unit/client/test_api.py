"""The client against a server that misbehaves."""

from __future__ import annotations

import hashlib
import json

import pytest

from scenemill import ApiError, IntegrityError, Retry, Unreachable
from scenemill.types import Artifact

TASK = {"task_id": "t1", "kind": "video", "status": "queued", "stage": None, "progress": 0.0, "scenes": []}


def answer(status, body, **headers):
    return (status, {"Retry-After": "0", **headers}, json.dumps(body).encode())


def artifact(content, url="/v1/tasks/t1/artifacts/video.mp4", sha256=None):
    digest = sha256 or hashlib.sha256(content).hexdigest()
    return Artifact(name="video.mp4", url=url, media_type="video/mp4", bytes=len(content), sha256=digest)


def test_a_job_is_posted_again_under_the_same_key_when_the_server_was_away(connect, server):
    server.answers = [
        answer(503, {"title": "Away"}),
        answer(502, {"title": "Bad gateway"}),
        answer(202, TASK),
    ]

    with connect(server.url, "key") as api:
        task = api.jobs.submit({"kind": "video"})

    keys = {request["headers"]["idempotency-key"] for request in server.requests}
    assert task.task_id == "t1"
    assert len(server.requests) == 3
    assert len(keys) == 1


def test_an_upload_is_sent_again_under_the_same_key(connect, server, tmp_path):
    asset = {"asset_id": "a1", "kind": "image"}
    server.answers = [answer(502, {"title": "Bad gateway"}), answer(201, asset)]
    file = tmp_path / "a.png"
    file.write_bytes(b"x" * 3_000_000)

    with connect(server.url, "key") as api:
        made = api.assets.upload(file)

    first, second = server.requests
    assert made.src == "asset:a1"
    assert first["headers"]["content-length"] == second["headers"]["content-length"] == "3000000"
    assert first["body"] == second["body"] == file.read_bytes()
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]


def test_a_refusal_names_every_place(connect, server):
    places = [
        {"pointer": "#/script/scenes/0/duration", "detail": "Too long."},
        {"pointer": "#/output", "detail": "No."},
    ]
    server.answers = [answer(422, {"title": "Invalid input", "detail": "Two errors.", "errors": places})]

    with connect(server.url, "key") as api, pytest.raises(ApiError) as caught:
        api.jobs.submit({"kind": "video"})

    assert "#/script/scenes/0/duration: Too long." in str(caught.value)
    assert "#/output: No." in str(caught.value)
    assert "Invalid input (422)" in str(caught.value)


def test_an_error_that_is_no_problem_document_is_still_one_sentence(connect, server):
    server.answers = [(403, {"Content-Type": "text/html"}, b"<html>No</html>")]

    with connect(server.url, "key") as api, pytest.raises(ApiError, match=r"Forbidden \(403\)"):
        api.tasks.get("t1")


def test_waiting_asks_with_the_etag_and_tells_of_changes_only(connect, server):
    done = TASK | {"status": "succeeded", "progress": 1.0}
    server.answers = [
        answer(200, TASK, ETag='"1"'),
        (304, {"Retry-After": "0", "ETag": '"1"'}, b""),
        answer(200, done),
    ]
    seen = []

    with connect(server.url, "key") as api:
        task = api.tasks.wait("t1", on_change=lambda changed: seen.append(changed.status))

    assert task.finished
    assert seen == ["queued", "succeeded"]
    assert [request["headers"].get("if-none-match") for request in server.requests] == [None, '"1"', '"1"']


def test_a_download_that_breaks_off_is_begun_again(connect, server, tmp_path):
    content = b"frames" * 1000
    server.answers = [None, (200, {}, content)]

    with connect(server.url, "key") as api:
        path = api.tasks.download(artifact(content), tmp_path / "out" / "video.mp4")

    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["video.mp4"]


def test_a_download_that_differs_from_what_was_announced_leaves_no_file(connect, server, tmp_path):
    server.answers = [(200, {}, b"other")]

    with connect(server.url, "key") as api, pytest.raises(IntegrityError):
        api.tasks.download(artifact(b"content"), tmp_path / "video.mp4")

    assert list(tmp_path.iterdir()) == []


def test_the_key_is_not_sent_to_another_host(connect, server, tmp_path):
    with connect(server.url, "key") as api, pytest.raises(IntegrityError, match="another host"):
        api.tasks.download(artifact(b"x", url="http://127.0.0.1:1/video.mp4"), tmp_path / "video.mp4")

    assert server.requests == []


def test_a_server_that_is_not_there_is_said_to_be_away(connect):
    with (
        connect("http://127.0.0.1:9", "key", retry=Retry(attempts=1)) as api,
        pytest.raises(Unreachable, match="No answer"),
    ):
        api.tasks.get("t1")


def test_listing_follows_the_cursor_to_the_limit(connect, server):
    pages = [{"data": [TASK, TASK], "next_cursor": "c1"}, {"data": [TASK, TASK], "next_cursor": "c2"}]
    server.answers = [answer(200, page) for page in pages]

    with connect(server.url, "key") as api:
        tasks = list(api.tasks.list(limit=3, status="queued"))

    assert len(tasks) == 3
    assert server.requests[0]["path"] == "/v1/tasks?status=queued&limit=3"
    assert server.requests[1]["path"] == "/v1/tasks?status=queued&limit=1&cursor=c1"
