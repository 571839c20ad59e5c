"""`scenemill tasks`: lists, states and downloads."""

from __future__ import annotations

import json

import pytest

from tests.unit.client.cli.answers import TASK, TASK_ID, VIDEO, answer, failed, finished, page

RUNNING = TASK | {
    "status": "running", "stage": "rendering", "progress": 0.5, "custom_id": "reel-7",
    "scenes": [
        {"id": "opening", "status": "done", "progress": 1.0, "cached": True},
        {"id": "end", "status": "rendering", "progress": 0.25},
    ],
}  # fmt: skip


def test_tasks_are_listed_with_what_they_do(run, server):
    server.answers = [page(RUNNING, finished(), failed())]

    ended = run(
        "tasks", "list", "--status", "running", "--status", "failed", "--kind", "video", "--limit", "3"
    )

    assert ended.code == 0
    assert server.requests[0]["path"] == "/v1/tasks?status=running%2Cfailed&kind=video&limit=3"
    assert ended.out.splitlines()[0].split() == ["Task", "Kind", "Status", "Created", "Custom", "id"]
    assert all(line == line.rstrip() for line in ended.out.splitlines())
    assert [line.split()[:4] for line in ended.out.splitlines()[1:]] == [
        [TASK_ID, "video", "rendering", "50%"],
        [TASK_ID, "video", "succeeded", "100%"],
        [TASK_ID, "video", "failed", "30%"],
    ]


def test_a_list_as_json_has_a_line_for_each_task(run, server):
    server.answers = [page(TASK, finished())]

    ended = run("tasks", "list", "--json")

    assert [line["status"] for line in ended.lines] == ["queued", "succeeded"]


def test_an_empty_list_is_told_on_stderr(run, server):
    server.answers = [page(), page()]

    shown, as_json = run("tasks", "list"), run("tasks", "list", "--json")

    assert (shown.code, shown.out, shown.err) == (0, "", "There are no such tasks.\n")
    assert (as_json.out, as_json.err) == ("", "")


def test_a_task_is_shown_with_its_scenes(run, server):
    server.answers = [answer(200, RUNNING)]

    ended = run("tasks", "show", TASK_ID)

    assert "Doing      rendering, 50%" in ended.out
    assert "Custom id  reel-7" in ended.out
    assert "opening  cached" in ended.out
    assert "end      rendering  25%" in ended.out


def test_a_finished_task_is_shown_with_its_files(run, server):
    server.answers = [answer(200, finished("video.mp4", "captions.srt"))]

    ended = run("tasks", "show", TASK_ID)

    assert "captions.srt   5 B" in ended.out
    assert "3.5 s, 1280x720" in ended.out


def test_a_failed_task_is_shown_with_its_reason(run, server):
    server.answers = [answer(200, failed())]

    ended = run("tasks", "show", TASK_ID)

    assert ended.code == 0
    assert "failed: Scene opening: the image cannot be read. (asset-unreadable)" in ended.out


def test_watching_ends_as_the_task_does(run, server):
    server.answers = [answer(200, TASK), answer(200, RUNNING), answer(200, finished())]
    good = run("tasks", "watch", TASK_ID)
    server.answers = [answer(200, TASK), answer(200, failed())]
    bad = run("tasks", "watch", TASK_ID)

    assert (good.code, good.out) == (0, f"{TASK_ID}: succeeded\n")
    assert "video: rendering" in good.err
    assert (bad.code, bad.out) == (1, "")


def test_watching_as_json_prints_each_change(run, server):
    server.answers = [answer(200, TASK), answer(200, RUNNING), answer(200, finished())]

    ended = run("tasks", "watch", TASK_ID, "--json")

    assert [line["status"] for line in ended.lines] == ["running", "succeeded"]


@pytest.mark.parametrize(("verb", "status"), [("cancel", "canceling"), ("retry", "queued")])
def test_several_tasks_change_at_a_time(run, server, verb, status):
    server.answers = [answer(202, TASK | {"status": status}) for _ in range(3)]

    ended = run("tasks", verb, "a", "b")
    as_json = run("tasks", verb, "c", "--json")

    assert ended.out == f"{TASK_ID}: {status}\n" * 2
    assert [one["path"] for one in server.requests[:2]] == [f"/v1/tasks/a/{verb}", f"/v1/tasks/b/{verb}"]
    assert as_json.lines[0]["status"] == status


def test_deleting_asks_first(run, server):
    server.answers = [(204, {}, b"")]

    unasked = run("tasks", "delete", TASK_ID)
    done = run("tasks", "delete", TASK_ID, "--yes", "--json")

    assert (unasked.code, done.code) == (2, 0)
    assert "Confirm with --yes" in unasked.err
    assert done.lines == [{"task_id": TASK_ID, "deleted": True}]
    assert len(server.requests) == 1


def test_all_files_or_one_are_downloaded(run, server, home):
    task = finished("video.mp4", "captions.srt")
    server.answers = [answer(200, task), (200, {}, VIDEO), (200, {}, VIDEO)]
    everything = run("tasks", "download", TASK_ID, "--out", "all")
    server.answers = [answer(200, task), (200, {}, VIDEO)]
    by_ending = run("tasks", "download", TASK_ID, "--output-file", "reef.srt")
    server.answers = [answer(200, task), (200, {}, VIDEO)]
    by_name = run("tasks", "download", TASK_ID, "--output-file", "reef", "--name", "video.mp4", "--json")

    assert everything.out.splitlines() == ["all/video.mp4", "all/captions.srt"]
    assert by_ending.out == "reef.srt\n"
    assert by_name.lines == [{"task_id": TASK_ID, "files": {"video.mp4": "reef"}}]
    assert {one.name for one in home.iterdir()} == {"all", "reef.srt", "reef"}


def test_a_download_that_broke_off_goes_on_with_what_is_missing(run, server, home):
    (home / "all").mkdir()
    (home / "all" / "video.mp4").write_bytes(VIDEO)
    server.answers = [answer(200, finished("video.mp4", "captions.srt")), (200, {}, VIDEO)]
    ended = run("tasks", "download", TASK_ID, "--out", "all")
    (home / "all" / "video.mp4").write_bytes(b"mine!")
    server.answers = [answer(200, finished("video.mp4", "captions.srt"))]
    refused = run("tasks", "download", TASK_ID, "--out", "all")

    assert ended.out.splitlines() == ["all/video.mp4", "all/captions.srt"]
    assert [one["path"].rpartition("/")[2] for one in server.requests[:2]] == [TASK_ID, "captions.srt"]
    assert refused.code == 2
    assert "all has video.mp4 already" in refused.err
    assert (home / "all" / "video.mp4").read_bytes() == b"mine!"


def test_a_file_that_the_task_has_not_is_told_with_those_that_it_has(run, server):
    server.answers = [answer(200, finished("video.mp4", "captions.srt"))]

    ended = run("tasks", "download", TASK_ID, "--output-file", "reef.gif")

    assert ended.code == 2
    assert "It has: video.mp4, captions.srt" in ended.err


def test_an_unfinished_task_has_nothing_to_download(run, server):
    server.answers = [answer(200, RUNNING)]

    ended = run("tasks", "download", TASK_ID)

    assert ended.code == 1
    assert "running" in ended.err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["jobs", "--json"], ["tasks", "list", "--json"]),
        (["status", "t", "--json"], ["tasks", "show", "t", "--json"]),
        (["cancel", "t"], ["tasks", "cancel", "t"]),
    ],
)
def test_old_names_do_the_same_and_are_not_listed(run, server, old, new):
    body = answer(200, {**TASK, "data": [TASK], "next_cursor": None})
    server.answers = [body, body]

    assert run(*old) == run(*new)
    assert server.requests[0]["path"] == server.requests[1]["path"]
    assert f"  {old[0]} " not in run("--help").out


def test_an_uploaded_file_is_named_as_scripts_name_it(run, server, home):
    (home / "a.png").write_bytes(b"x" * 1000)
    asset = {"asset_id": "a1", "media_type": "image/png", "bytes": 1000, "sha256": "0"}
    server.answers = [answer(201, asset), answer(201, asset)]

    shown, as_json = run("upload", "a.png"), run("assets", "upload", "--json", "a.png")

    assert shown.out == "asset:a1  a.png\n"
    assert as_json.lines == [{"file": "a.png", **asset}]


def test_text_of_others_is_shown_as_it_is(run, server):
    server.answers = [page(RUNNING | {"custom_id": "[red]:smile:[/nope]"})]

    assert "[red]:smile:[/nope]" in run("tasks", "list").out


def test_a_body_of_another_shape_is_no_traceback(run, server):
    server.answers = [(200, {}, b"<html>"), (200, {}, json.dumps({"data": [{}]}).encode())]

    html, other = run("tasks", "list"), run("tasks", "list")

    assert (html.code, other.code) == (5, 5)
    assert "Is it the address of a Scenemill API?" in html.err
