"""Downloads: broken connections, wrong bytes, and names that lead out of the folder."""

from __future__ import annotations

import pytest

from scenemill import IntegrityError, TaskFailed, Unreachable
from tests.unit.client.answers import DONE, TASK, answer, artifact
from tests.unit.client.conftest import Broken

CONTENT = b"frames" * 1000
TAG = {"ETag": '"v1"'}


def test_a_download_goes_on_where_it_broke_off(connect, server, tmp_path):
    server.answers = [
        Broken(CONTENT[:1000], headers=TAG),
        Broken(CONTENT[1000:1500], 206, TAG),
        (206, TAG, CONTENT[1500:]),
    ]

    with connect(server.url, "key") as api:
        path = api.tasks.download(artifact(CONTENT), tmp_path / "out" / "video.mp4")

    assert path.read_bytes() == CONTENT
    assert [one.name for one in path.parent.iterdir()] == ["video.mp4"]
    asked = [(one["headers"].get("range"), one["headers"].get("if-range")) for one in server.requests]
    assert asked == [(None, None), ("bytes=1000-", '"v1"'), ("bytes=1500-", '"v1"')]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(connect, server):
    server.answers = [Broken(b"former", headers=TAG), (200, {"ETag": '"v2"'}, CONTENT)]

    with connect(server.url, "key") as api:
        assert api.tasks.read(artifact(CONTENT)) == CONTENT


def test_a_file_that_cannot_be_resumed_is_fetched_from_its_start(connect, server):
    server.answers = [Broken(b"frames"), (200, {}, CONTENT)]

    with connect(server.url, "key") as api:
        assert api.tasks.read(artifact(CONTENT)) == CONTENT

    assert "range" not in server.requests[1]["headers"]


def test_a_file_of_which_only_the_end_was_lost_is_whole(connect, server):
    server.answers = [Broken(CONTENT, headers=TAG), answer(416, {"title": "Nothing is left"})]

    with connect(server.url, "key") as api:
        assert api.tasks.read(artifact(CONTENT)) == CONTENT


@pytest.mark.parametrize("first", [[], [Broken(b"other", headers=TAG)]], ids=["at once", "resumed"])
def test_a_file_that_differs_from_what_was_announced_leaves_nothing(connect, server, tmp_path, first):
    server.answers = [*first, (206 if first else 200, TAG, b"bytes")]

    with connect(server.url, "key") as api, pytest.raises(IntegrityError, match="arrived damaged"):
        api.tasks.download(artifact(CONTENT), tmp_path / "video.mp4")

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_nothing_is_given_up(connect, server, tmp_path):
    server.answers = [Broken(b"")] * 3

    with connect(server.url, "key") as api, pytest.raises(Unreachable, match=r"video\.mp4 could not"):
        api.tasks.download(artifact(CONTENT), tmp_path / "video.mp4")

    assert server.answers == []
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leads_out_of_the_folder_is_refused(connect, server, tmp_path):
    task = DONE | {"result": {"artifacts": [dict(vars(artifact(CONTENT, "../video.mp4")), raw=None)]}}
    server.answers = [answer(200, task)]

    with connect(server.url, "key") as api, pytest.raises(IntegrityError, match="outside the folder"):
        api.tasks.download_all("t1", tmp_path)

    assert len(server.requests) == 1


def test_the_files_of_a_task_that_has_not_succeeded_are_not_asked_for(connect, server, tmp_path):
    server.answers = [answer(200, TASK)]

    with connect(server.url, "key") as api, pytest.raises(TaskFailed, match="Task t1 queued"):
        api.tasks.download_all("t1", tmp_path)
