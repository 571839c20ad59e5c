"""The client logs in and renews its tokens by itself."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse

import anyio
import pytest

from scenemill import ApiError, AsyncScenemill, Scenemill, TokenAuth, by_key
from scenemill.auth import Tokens
from scenemill.cli.saved import Saved

TASK = {"task_id": "t1", "kind": "video", "status": "queued", "stage": None, "progress": 0.0, "scenes": []}
OVER = {"error": "invalid_grant", "title": "Not accepted", "detail": "Log in again."}


def answer(status, body):
    return (status, {"Retry-After": "0"}, json.dumps(body).encode())


def tokens(number, seconds=900):
    return answer(
        200,
        {
            "access_token": f"a{number}",
            "refresh_token": f"r{number}",
            "expires_in": seconds,
            "token_type": "Bearer",
        },
    )


def asked(server):
    """Return what was asked for, by which token, with which form."""
    return [
        (
            request["path"],
            request["headers"].get("authorization"),
            dict(urllib.parse.parse_qsl(request["body"].decode("latin-1"))),
        )
        for request in server.requests
    ]


def test_it_logs_in_once_for_many_requests(connect, server):
    server.answers = [tokens(1), answer(200, TASK), answer(200, TASK)]

    with connect(server.url, username="ann", password="p w&é") as api:
        api.tasks.get("t1")
        api.tasks.get("t1")

    assert asked(server) == [
        ("/v1/auth/token", None, {"grant_type": "password", "username": "ann", "password": "p w&é"}),
        ("/v1/tasks/t1", "Bearer a1", {}),
        ("/v1/tasks/t1", "Bearer a1", {}),
    ]


def test_it_renews_before_the_end(connect, server):
    server.answers = [tokens(1, seconds=10), answer(200, TASK), tokens(2), answer(200, TASK)]

    with connect(server.url, username="ann", password="p") as api:
        api.tasks.get("t1")
        api.tasks.get("t1")

    assert asked(server)[2:] == [
        ("/v1/auth/refresh", None, {"refresh_token": "r1"}),
        ("/v1/tasks/t1", "Bearer a2", {}),
    ]


def test_a_token_that_was_ended_is_renewed_once_and_a_log_in_that_was_begins_anew(connect, server):
    server.answers = [
        tokens(1), answer(401, {"title": "No"}), answer(400, OVER), tokens(2), answer(202, TASK),
        answer(401, {"title": "No"}), tokens(3), answer(401, {"title": "Still no"}),
    ]  # fmt: skip

    with connect(server.url, auth=TokenAuth(by_key("sm_live_ab12_secret_sum"))) as api:
        api.jobs.submit({"kind": "video"})
        with pytest.raises(ApiError, match="Still no"):
            api.tasks.get("t1")

    paths = [path for path, _, _ in asked(server)]
    assert paths == [
        "/v1/auth/token", "/v1/jobs", "/v1/auth/refresh", "/v1/auth/token", "/v1/jobs",
        "/v1/tasks/t1", "/v1/auth/refresh", "/v1/tasks/t1",
    ]  # fmt: skip
    assert asked(server)[0][2]["client_id"] == "ab12"
    assert asked(server)[4][2] == asked(server)[1][2]
    assert (
        server.requests[4]["headers"]["idempotency-key"] == server.requests[1]["headers"]["idempotency-key"]
    )


def test_a_file_is_not_sent_twice_for_a_token(connect, server, tmp_path):
    server.answers = [tokens(1), answer(401, {"title": "No"})]
    (tmp_path / "a.png").write_bytes(b"x" * 100)

    with connect(server.url, username="ann", password="p") as api, pytest.raises(ApiError, match="No"):
        api.assets.upload(tmp_path / "a.png")

    assert len(server.requests) == 2


def test_a_wrong_password_is_told_and_not_tried_again(connect, server):
    server.answers = [answer(400, OVER)]

    with (
        connect(server.url, username="ann", password="p") as api,
        pytest.raises(ApiError, match="Log in again"),
    ):
        api.tasks.get("t1")

    assert len(server.requests) == 1


def test_a_user_name_needs_a_password():
    with pytest.raises(TypeError, match="username"):
        Scenemill("http://127.0.0.1:1", username="ann")
    with pytest.raises(TypeError, match="username"):
        AsyncScenemill("http://127.0.0.1:1", password="p")


def test_many_who_share_a_saved_log_in_renew_it_once(connect, server, tmp_path):
    file = tmp_path / "logins.json"
    Saved(file, server.url).save(Tokens("a1", "r1", time.time() + 1))
    server.answers = [tokens(2), *(answer(200, TASK) for _ in range(5))]

    def ask() -> None:
        with connect(server.url, auth=TokenAuth(store=Saved(file, server.url))) as api:
            api.tasks.get("t1")

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    paths = [path for path, _, _ in asked(server)]
    assert paths.count("/v1/auth/refresh") == 1
    assert {token for path, token, _ in asked(server) if "tasks" in path} == {"Bearer a2"}
    assert Saved(file, server.url).load().refresh_token == "r2"


def test_an_option_that_there_is_not_is_named():
    with pytest.raises(TypeError, match=r"There is no option retries\. There are username, .*retry"):
        Scenemill("http://127.0.0.1:1", "key", retries=3)  # type: ignore[call-arg]


def test_threads_that_share_a_client_log_in_once(connect, server):
    server.answers = [tokens(1), *(answer(200, TASK) for _ in range(8))]
    seen = []

    with connect(server.url, username="ann", password="p") as api:
        threads = [threading.Thread(target=lambda: seen.append(api.tasks.get("t1").id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == ["t1"] * 8
    assert [path for path, _, _ in asked(server)] == ["/v1/auth/token", *["/v1/tasks/t1"] * 8]


def test_concurrent_calls_renew_a_log_in_once(server):
    server.answers = [tokens(1), *(answer(200, TASK) for _ in range(5))]

    async def ask() -> None:
        async with (
            AsyncScenemill(server.url, username="ann", password="p") as api,
            anyio.create_task_group() as calls,
        ):
            for _ in range(5):
                calls.start_soon(api.tasks.get, "t1")

    anyio.run(ask)

    assert [path for path, _, _ in asked(server)] == ["/v1/auth/token", *["/v1/tasks/t1"] * 5]


def test_a_saved_log_in_is_for_its_owner_and_its_api_alone(tmp_path):
    file = tmp_path / "below" / "logins.json"
    here, there = Saved(file, "http://here/"), Saved(file, "http://there")
    with here.locked():
        here.save(Tokens("a", "r", 1.0))
        there.save(Tokens("b", "s", 1.0))
        there.save(None)

    assert here.load() == Tokens("a", "r", 1.0)
    assert there.load() is None
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("not JSON")
    assert here.load() is None
