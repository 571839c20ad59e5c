"""The client against a server that misbehaves."""

from __future__ import annotations

import inspect

import pytest

from scenemill import (
    ApiError,
    AsyncScenemill,
    IntegrityError,
    Retry,
    Scenemill,
    TaskFailed,
    Unreachable,
    WaitTimeout,
)
from tests.unit.client.answers import DONE, TASK, answer, artifact


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
    server.answers = [
        answer(200, TASK, ETag='"1"'),
        (304, {"Retry-After": "0", "ETag": '"1"'}, b""),
        answer(200, DONE),
    ]
    seen = []

    with connect(server.url, "key") as api:
        task = api.tasks.wait("t1", on_change=lambda changed: seen.append(changed.status))

    assert task.finished
    assert seen == ["queued", "succeeded"]
    assert [request["headers"].get("if-none-match") for request in server.requests] == [None, '"1"', '"1"']
    assert [request["path"] for request in server.requests] == [
        "/v1/tasks/t1",
        *["/v1/tasks/t1?wait=20.0"] * 2,
    ]


def test_waiting_ends_in_time_and_tells_how_far_the_task_is(connect, server):
    server.answers = [answer(200, TASK, ETag='"1"'), (304, {"Retry-After": "20"}, b""), (304, {}, b"")]

    with connect(server.url, "key") as api, pytest.raises(WaitTimeout) as late:
        api.tasks.wait("t1", timeout=0.2)

    assert str(late.value) == (
        "Task t1 is still queued after 0.2 s (0%). It goes on: wait for it again, or cancel it."
    )
    assert late.value.last.status == "queued"


def test_a_task_that_failed_says_why(connect, server):
    error = {"title": "Speech failed", "detail": "The voice cannot read this.", "code": "speech-failed"}
    server.answers = [answer(200, TASK | {"status": "failed", "error": error})] * 2

    with connect(server.url, "key") as api:
        with pytest.raises(
            TaskFailed, match=r"Task t1 failed: The voice cannot read this\. \(speech-failed\)"
        ):
            api.tasks.wait("t1")
        assert api.tasks.wait("t1", check=False).error.code == "speech-failed"


def test_a_request_under_way_with_the_same_key_is_waited_for(connect, server):
    server.answers = [answer(409, {"title": "Conflict"}), answer(202, TASK)]

    with connect(server.url, "key") as api:
        assert api.jobs.submit({"kind": "video"}).id == "t1"

    first, second = server.requests
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]


def test_a_wait_that_is_too_long_is_left_to_the_caller(connect, server):
    server.answers = [answer(429, {"title": "Too fast"}, **{"Retry-After": "3600"})]

    with connect(server.url, "key") as api, pytest.raises(ApiError) as refused:
        api.tasks.get("t1")

    assert (refused.value.status, refused.value.retry_after) == (429, 3600)
    assert len(server.requests) == 1


def test_deleting_what_an_earlier_attempt_deleted_is_done(connect, server):
    server.answers = [answer(502, {"title": "Bad gateway"}), answer(404, {"title": "Not found"})]

    with connect(server.url, "key") as api:
        api.tasks.delete("t1")

    server.answers = [answer(404, {"title": "Not found"})]
    with connect(server.url, "key") as api, pytest.raises(ApiError, match="Not found"):
        api.tasks.delete("t1")


def test_what_changes_something_is_not_sent_again_when_it_may_have_arrived(connect, server):
    server.answers = [answer(502, {"title": "Bad gateway"})]

    with connect(server.url, "key") as api, pytest.raises(ApiError, match="Bad gateway"):
        api.tasks.retry("t1")

    assert len(server.requests) == 1


def test_a_name_stays_one_segment_of_the_path(connect, server):
    server.answers = [answer(200, {"template_id": "x"})]

    with connect(server.url, "key") as api:
        api.templates.get("../admin?x=1#y", version=2)

    assert server.requests[0]["path"] == "/v1/templates/..%2Fadmin%3Fx%3D1%23y?version=2"


def test_what_is_no_api_of_scenemill_is_said_to_be_so(connect, server):
    server.answers = [(200, {}, b"<html>"), answer(200, {"hello": "world"})]

    with connect(server.url, "key") as api:
        with pytest.raises(IntegrityError, match="Is it the address of a Scenemill API"):
            api.tasks.get("t1")
        with pytest.raises(IntegrityError, match="is no Task: it lacks task_id"):
            api.tasks.get("t1")


def test_an_error_of_the_server_names_its_request(connect, server):
    server.answers = [answer(500, {"title": "Internal error"}, **{"X-Request-ID": "r1"})]

    with connect(server.url, "key", retry=Retry(attempts=1)) as api, pytest.raises(ApiError) as failed:
        api.jobs.submit({"kind": "video"})

    assert failed.value.request_id == "r1"
    assert str(failed.value).endswith("request r1")


def test_a_client_without_credentials_sends_none(connect, server):
    server.answers = [
        answer(200, {"access_token": "a", "refresh_token": "r"}),
        answer(401, {"title": "No key"}),
    ]

    with connect(server.url) as api:
        assert api.tokens.create({"grant_type": "password"}).access_token == "a"
        with pytest.raises(ApiError, match="No key"):
            api.tasks.get("t1")

    assert all("authorization" not in request["headers"] for request in server.requests)


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


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (Scenemill("http://x").tasks.cancel, "(task: 'Reference') -> 'Task'"),
        (Scenemill("http://x").assets.list, "(*, limit: 'int | None' = None) -> 'Iterator[Asset]'"),
        (AsyncScenemill("http://x").tasks.cancel, "(task: 'Reference') -> 'Task'"),
        (AsyncScenemill("http://x").assets.list, "(*, limit: 'int | None' = None) -> 'AsyncIterator[Asset]'"),
    ],
)
def test_help_shows_how_a_method_is_called(method, signature):
    assert str(inspect.signature(method)) == signature
    assert method.__doc__.startswith(("Cancel an unfinished task", "Give the assets"))
