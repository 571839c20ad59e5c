"""`scenemill batch`: every form of a batch, and its results."""

from __future__ import annotations

import json

import pytest

from tests.unit.client.cli.answers import (
    BATCH,
    BATCH_ID,
    TASK,
    VIDEO,
    answer,
    failed,
    finished,
    page,
    problem,
)

JOBS = [{"kind": "script", "brief": {"topic": "Tides"}}, {"kind": "script", "brief": {"topic": "Dunes"}}]
ACCEPTED = {"batch_id": BATCH_ID, "counts": {"queued": 2}, "task_ids": ["a", "b"], "skipped": []}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jobs.json", json.dumps(JOBS)),
        ("jobs.json", json.dumps({"jobs": JOBS, "defaults": {"priority": "bulk"}})),
        ("jobs.ndjson", "\n\n".join(map(json.dumps, JOBS))),
        ("jobs.JSONL", "\n".join(map(json.dumps, JOBS))),
    ],
)
def test_jobs_come_from_a_list_or_lines(run, server, home, name, content):
    (home / name).write_text(content)
    server.answers = [answer(202, ACCEPTED)]

    ended = run("batch", "submit", name, "--skip-invalid")

    sent = json.loads(server.requests[0]["body"])
    assert ended.out == f"{BATCH_ID}\n"
    assert "2 tasks accepted, 0 skipped" in ended.err
    assert sent["jobs"] == JOBS
    assert sent["on_invalid"] == "skip"
    assert sent.get("defaults") == ({"priority": "bulk"} if "defaults" in content else None)


def test_a_table_fills_a_template(run, server, home):
    (home / "people.csv").write_text("custom_id,name\na,Ada\n")
    server.answers = [answer(202, ACCEPTED)]

    ended = run("batch", "submit", "people.csv", "--template", "greeting", "--template-version", "2")

    (request,) = server.requests
    assert ended.code == 0
    assert "template_id=greeting&template_version=2" in request["path"]
    assert request["headers"]["content-type"] == "text/csv"
    assert request["body"] == b"custom_id,name\na,Ada\n"


def test_jobs_come_from_stdin(run, server):
    server.answers = [answer(202, ACCEPTED)]

    ended = run("batch", "submit", "-", "--format", "ndjson", "--json", stdin=json.dumps(JOBS[0]).encode())

    assert ended.lines == [ACCEPTED]
    assert json.loads(server.requests[0]["body"])["jobs"] == JOBS[:1]


def test_what_was_skipped_is_listed(run, server, home):
    (home / "jobs.json").write_text(json.dumps(JOBS))
    skipped = [{"index": 1, "errors": [{"pointer": "#/jobs/1/brief", "detail": "Missing."}]}]
    server.answers = [answer(202, ACCEPTED | {"skipped": skipped})]

    ended = run("batch", "submit", "jobs.json", "--skip-invalid")

    assert "Skipped job 1: #/jobs/1/brief Missing." in ended.err


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("jobs.txt", "x", [], "Say it: --format json, ndjson or csv"),
        ("people.csv", "a\n1\n", [], "needs the template"),
        ("jobs.json", "[]", ["--template", "t"], "nothing else has one"),
        ("jobs.json", "3", [], "must be a list of jobs"),
        ("jobs.json", '{"job": []}', [], "must be a list of jobs"),
        ("jobs.json", '{"jobs": [], "default": {}}', [], "unknown member 'default'"),
        ("jobs.ndjson", '{"a": 1}\n{"b": }\n', [], "jobs.ndjson, line 2: the job, line 1, column 7"),
        ("jobs.ndjson", "[1]\n", [], "jobs.ndjson, line 1: the job holds a list"),
        ("none.json", None, [], "There is no file none.json"),
    ],
)
def test_a_file_that_is_no_batch_is_told_before_anything_is_posted(
    run, server, home, name, content, options, words
):
    if content is not None:
        (home / name).write_text(content)

    ended = run("batch", "submit", name, *options)

    assert ended.code == 2
    assert words in ended.err
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("jobs.json", '[\n{},\n{"brif": 1}]', 3),
        ("jobs.json", '{"jobs": [{},\n{"brif": 1}]}', 2),
        ("jobs.ndjson", '{}\n\n\n{"brif": 1}', 4),
    ],
)
def test_a_refused_batch_names_the_line_of_each_job(run, server, home, name, content, line):
    (home / name).write_text(content)
    server.answers = [problem(422, ("#/jobs/1/brif", "Unknown field."))]

    ended = run("batch", "submit", name)

    assert ended.code == 3
    assert f"#/jobs/1/brif: Unknown field. Did you mean brief? ({name}, line {line})" in ended.err


def test_waiting_shows_how_it_ended(run, server, home):
    (home / "jobs.json").write_text(json.dumps(JOBS))
    server.answers = [answer(202, ACCEPTED), answer(200, BATCH), answer(200, BATCH)]
    good = run("batch", "submit", "jobs.json", "--wait")
    one_failed = BATCH | {"counts": {"succeeded": 1, "failed": 1}}
    server.answers = [answer(200, one_failed), answer(200, one_failed)]
    bad = run("batch", "watch", BATCH_ID, "--json")

    assert good.code == 0
    assert "2 succeeded" in good.out
    assert bad.code == 1
    assert bad.lines == [one_failed]


def test_a_batch_is_shown_with_its_tasks(run, server):
    server.answers = [answer(200, BATCH), page(finished(), failed())]

    ended = run("batch", "show", BATCH_ID)

    assert "Tasks     2 succeeded" in ended.out
    assert "failed" in ended.out


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_a_batch_changes_as_a_whole(run, server, verb):
    server.answers = [answer(202, BATCH)]

    assert run("batch", verb, BATCH_ID).code == 0
    assert server.requests[0]["path"] == f"/v1/batch/{BATCH_ID}/{verb}"


def test_results_are_lines_or_files(run, server, home):
    tasks = [finished() | {"custom_id": "../one"}, failed() | {"task_id": "two"}, TASK | {"task_id": "three"}]
    lines = (200, {}, "".join(json.dumps(one) + "\n" for one in tasks).encode())
    server.answers = [lines, lines, (200, {}, VIDEO)]

    listed = run("batch", "results", BATCH_ID)
    downloaded = run("batch", "results", BATCH_ID, "--out", "videos")

    assert [line["status"] for line in listed.lines] == ["succeeded", "failed", "queued"]
    assert downloaded.out == "videos/.._one/video.mp4\n"
    assert "two: failed, nothing to download" in downloaded.err
    assert (home / "videos" / ".._one" / "video.mp4").read_bytes() == VIDEO
