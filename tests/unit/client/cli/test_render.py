"""`scenemill render` and `scenemill write`: what is posted, what is written, and what stops before anything is posted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.unit.client.cli.answers import TASK, TASK_ID, VIDEO, answer, failed, finished, problem

WHOLE = [answer(202, TASK), answer(200, finished()), (200, {}, VIDEO)]


@pytest.fixture
def script(home):
    path = home / "tale.json"
    path.write_text(json.dumps({"scenes": [{"narration": "Hello"}]}))
    return path


def posted(server, number=0):
    return json.loads(server.requests[number]["body"])


def test_it_downloads_the_files_and_prints_their_paths_alone_on_stdout(run, server, script, home):
    server.answers = list(WHOLE)

    ended = run("render", script, "--aspect", "9:16")

    assert ended.code == 0
    assert ended.out == "tale/video.mp4\n"
    assert (home / "tale" / "video.mp4").read_bytes() == VIDEO
    assert posted(server) == {
        "kind": "video",
        "script": {"scenes": [{"narration": "Hello"}]},
        "output": {"aspect": "9:16"},
    }
    assert "3.5 s, 1280x720" in ended.err
    assert "1 segment rendered, 4 from the cache" in ended.err


def test_with_json_the_task_and_its_files_are_all_of_stdout(run, server, script):
    server.answers = list(WHOLE)

    ended = run("render", script, "--json", "--quiet")

    (line,) = ended.lines
    assert line["task_id"] == TASK_ID
    assert line["files"] == {"video.mp4": "tale/video.mp4"}
    assert ended.err == ""


def test_a_script_comes_from_stdin(run, server, home):
    server.answers = list(WHOLE)

    ended = run("render", "-", "--out", "out", stdin=b'{"scenes": [{"narration": "Piped"}]}')

    assert ended.code == 0
    assert posted(server)["script"] == {"scenes": [{"narration": "Piped"}]}
    assert (home / "out" / "video.mp4").exists()


def test_a_script_comes_from_the_web_with_the_pictures_beside_it(run, server, home):
    document = {"scenes": [{"visual": {"type": "image", "src": "media/reef.jpg"}}]}
    server.answers = [answer(200, document), *WHOLE]

    ended = run("render", f"{server.url}/examples/reef.json")

    assert ended.code == 0
    assert "authorization" not in server.requests[0]["headers"]
    assert (
        posted(server, 1)["script"]["scenes"][0]["visual"]["src"] == f"{server.url}/examples/media/reef.jpg"
    )
    assert (home / "reef" / "video.mp4").exists()


def test_an_address_without_a_script_is_told(run, server):
    server.answers = [answer(404, {})]

    ended = run("render", f"{server.url}/nothing.json")

    assert ended.code == 2
    assert "answered 404" in ended.err


def test_an_address_of_something_huge_is_told(run, server, monkeypatch):
    monkeypatch.setattr("scenemill.cli.documents.MOST_BYTES", 1_000_000)
    server.answers = [(200, {}, b"x" * 1_000_001)]

    ended = run("render", f"{server.url}/film.mp4")

    assert ended.code == 2
    assert "is larger than 1 MB, so it is no script" in ended.err


def test_a_whole_job_keeps_its_output_and_options_win(run, server, home):
    job = {"kind": "video", "output": {"fps": 25, "aspect": "1:1"}, "script": {"scenes": [{}]}}
    (home / "job.json").write_text(json.dumps(job))
    server.answers = list(WHOLE)

    run("render", "job.json", "--aspect", "4:5", "--output", '{"sidecars": ["srt"]}', "--priority", "bulk")

    assert posted(server)["output"] == {"fps": 25, "aspect": "4:5", "sidecars": ["srt"]}
    assert posted(server)["priority"] == "bulk"


@pytest.mark.parametrize(
    "made_of", [{"template_id": "quote", "fields": {"author": "A"}}, {"brief": {"topic": "Tides"}}]
)
def test_a_job_may_be_made_of_something_else_than_a_script(run, server, home, made_of):
    (home / "job.json").write_text(json.dumps(made_of))
    server.answers = list(WHOLE)

    run("render", "job.json")

    assert posted(server) == {"kind": "video", **made_of}


def test_local_media_are_uploaded_first(run, server, home):
    (home / "a.png").write_bytes(b"png")
    (home / "tale.json").write_text('{"scenes": [{"visual": {"type": "image", "src": "a.png"}}]}')
    asset = {"asset_id": "a1", "media_type": "image/png", "bytes": 3, "sha256": "0"}
    server.answers = [answer(201, asset), *WHOLE]

    ended = run("render", "tale.json")

    assert ended.code == 0
    assert posted(server, 1)["script"]["scenes"][0]["visual"]["src"] == "asset:a1"


@pytest.mark.parametrize(
    ("file", "asked"),
    [("reef.mp4", ["mp4"]), ("reef.WEBM", ["webm"]), ("reef.gif", ["gif"]), ("reef.mp3", ["mp3"])],
)
def test_the_ending_of_one_file_says_which_format_is_made(run, server, script, home, file, asked):
    name = {"mp4": "video.mp4", "webm": "video.webm", "gif": "preview.gif", "mp3": "audio.mp3"}[asked[0]]
    server.answers = [answer(202, TASK), answer(200, finished(name, "captions.srt")), (200, {}, VIDEO)]

    ended = run("render", script, "--output-file", file)

    assert ended.out == f"{file}\n"
    assert posted(server)["output"] == {"formats": asked}
    assert {one.name for one in home.iterdir()} == {"tale.json", file}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--out", "full"], "full has video.mp4 already. Add --force", id="files are there"),
        pytest.param(["--out", "tale.json"], "is a file. Give a folder", id="a file as the folder"),
        pytest.param(["--out", "tale.json/below"], "is a file, not a folder", id="a folder below a file"),
        pytest.param(
            ["--out", "/proc/none"], "nothing can be written to /proc", id="a place that takes no file"
        ),
        pytest.param(
            ["--output-file", "full"], "is a folder. Give a file|ends in .mp4", id="a folder as the file"
        ),
        pytest.param(["--output-file", "none/a.mp4"], "there is no folder none", id="no folder for the file"),
        pytest.param(
            ["--output-file", "full/video.mp4"], "exists already. Add --force", id="the file is there"
        ),
        pytest.param(["--output-file", "reef.avi"], "ends in .mp4, .webm or .gif", id="no format of ours"),
        pytest.param(
            ["--output-file", "reef.gif", "--output", '{"formats": ["mp4"]}'],
            "the job makes mp4, and no gif",
            id="a format that the job does not make",
        ),
        pytest.param(["--output-file", "a.mp4", "--out", "b"], "and not both", id="both"),
        pytest.param(["--output", "{"], "--output, line 1, column 2", id="an output that is no JSON"),
        pytest.param(["--output", "[]"], "--output holds a list", id="an output that is no object"),
    ],
)
def test_where_files_go_is_checked_before_anything_is_posted(run, server, script, home, arguments, words):
    (home / "full").mkdir()
    (home / "full" / "video.mp4").write_bytes(b"precious")

    ended = run("render", script, *arguments)

    assert ended.code == 2
    assert any(word in ended.err for word in words.split("|")), ended.err
    assert server.requests == []
    assert (home / "full" / "video.mp4").read_bytes() == b"precious"


def test_force_replaces_what_is_there(run, server, script, home):
    (home / "full").mkdir()
    (home / "full" / "video.mp4").write_bytes(b"old")
    server.answers = list(WHOLE)

    ended = run("render", script, "--out", "full", "--force")

    assert ended.code == 0
    assert (home / "full" / "video.mp4").read_bytes() == VIDEO


def test_a_file_of_a_name_that_was_not_expected_is_not_replaced_either(run, server, script, home):
    (home / "tale").mkdir()
    (home / "tale" / "new-kind.bin").write_bytes(b"precious")
    server.answers = [answer(202, TASK), answer(200, finished("new-kind.bin"))]

    ended = run("render", script)

    assert ended.code == 2
    assert (home / "tale" / "new-kind.bin").read_bytes() == b"precious"
    assert f"scenemill tasks download {TASK_ID}" in ended.err


def test_an_artifact_cannot_be_written_outside_its_folder(run, server, script, home):
    server.answers = [answer(202, TASK), answer(200, finished("../evil.mp4"))]

    ended = run("render", script)

    assert ended.code == 5
    assert "outside the folder" in ended.err
    assert not (home / "evil.mp4").exists()


def test_a_failed_task_ends_with_1_and_its_reason(run, server, script):
    server.answers = [answer(202, TASK), answer(200, failed())]

    ended = run("render", script)

    assert ended.code == 1
    assert "the image cannot be read. (asset-unreadable)" in ended.err
    assert ended.out == ""


def test_a_refused_script_ends_with_3_every_pointer_and_what_was_meant(run, server, home):
    (home / "tale.json").write_text('{"scenes": [\n  {"narations": "Hello",\n   "duration": 0}]}')
    server.answers = [
        problem(
            422,
            ("#/script/scenes/0/narations", "Unknown field."),
            ("#/script/scenes/0/duration", "Must be a number from 0.2 to 600."),
            ("#/output/fps", "Must be 24, 25, 30, 50 or 60."),
            detail="2 values are wrong.",
        )
    ]

    ended = run("render", "tale.json")

    assert ended.code == 3
    assert ended.err.splitlines() == [
        "Error: Invalid input (422): 2 values are wrong.",
        "  #/script/scenes/0/narations: Unknown field. Did you mean narration? (tale.json, line 2)",
        "  #/script/scenes/0/duration: Must be a number from 0.2 to 600. (tale.json, line 3)",
        "  #/output/fps: Must be 24, 25, 30, 50 or 60.",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "There is no file tale.json", id="missing"),
        pytest.param("{", "tale.json, line 1, column 2: the text ends too early", id="cut off"),
        pytest.param(
            '{\n "a": 1,\n}', "line 3, column 1: a comma stands before the closing bracket", id="a comma"
        ),
        pytest.param("[]", "tale.json holds a list. It must hold a JSON object", id="a list"),
        pytest.param(" ", "tale.json is empty", id="empty"),
        pytest.param("[" * 200_000, "nested too deeply", id="deep"),
        pytest.param(b'{"a": "\xff"}', "line 1: this is not UTF-8", id="not UTF-8"),
        pytest.param(
            '{"script": {}, "output": 3}', "`output` of the job must be a JSON object", id="no output"
        ),
    ],
)
def test_a_script_that_cannot_be_read_ends_with_2_and_the_place(run, server, home, content, words):
    if content is not None:
        (home / "tale.json").write_bytes(content if isinstance(content, bytes) else content.encode())

    ended = run("render", "tale.json")

    assert ended.code == 2
    assert words in ended.err
    assert server.requests == []


def test_a_dry_run_shows_the_timeline_and_the_estimate_and_writes_nothing(run, server, script, home):
    tried = {
        "valid": True, "errors": [], "warnings": ["The music is shorter than the video."],
        "timeline": [
            {"id": "opening", "start": 0.0, "duration": 3.0, "exact": False},
            {"id": "end", "start": 3.0, "duration": 1.5, "exact": True},
        ],
        "estimate": {"duration": 4.5, "render_seconds": 9.0, "speech_characters": 120, "cost": 0.25},
    }  # fmt: skip
    server.answers = [answer(200, tried)]

    ended = run("render", script, "--dry-run")

    assert ended.code == 0
    assert server.requests[0]["path"] == "/v1/dry-runs"
    assert "The job is valid" in ended.out
    assert "Warning: The music is shorter" in ended.out
    assert "opening  0.0 s  ~3.0 s" in ended.out
    assert "0.25" in ended.out
    assert [one.name for one in home.iterdir()] == ["tale.json"]


def test_a_dry_run_uploads_nothing_and_looks_for_local_files_all_the_same(run, server, home):
    (home / "a.png").write_bytes(b"png")
    (home / "tale.json").write_text('{"scenes": [{"visual": {"type": "image", "src": "a.png"}}]}')
    (home / "lost.json").write_text('{"scenes": [{"visual": {"type": "image", "src": "b.png"}}]}')
    server.answers = [answer(200, {"valid": True})]

    found, lost = run("render", "tale.json", "--dry-run"), run("render", "lost.json", "--dry-run")

    assert (found.code, lost.code) == (0, 2)
    assert len(server.requests) == 1
    assert "asset:" not in server.requests[0]["body"].decode()


def test_a_dry_run_of_an_invalid_job_ends_with_3_and_shows_every_place(run, server, script):
    errors = [{"pointer": "#/script/titel", "detail": "Unknown field."}]
    server.answers = [answer(200, {"valid": False, "errors": errors})] * 2

    shown = run("render", script, "--dry-run")
    as_json = run("render", script, "--dry-run", "--json")

    assert (shown.code, as_json.code) == (3, 3)
    assert "#/script/titel  Unknown field. Did you mean title?" in shown.out
    assert as_json.lines == [{"valid": False, "errors": errors}]


def test_a_detached_job_prints_its_id_alone(run, server, script):
    server.answers = [answer(202, TASK)]

    ended = run("render", script, "--detach")

    assert ended.out == f"{TASK_ID}\n"
    assert f"scenemill tasks watch {TASK_ID}" in ended.err


def test_a_timeout_ends_with_8_and_says_that_the_task_goes_on(run, server, script):
    server.answers = [answer(202, TASK), *[answer(200, TASK, ETag='"1"')] * 50]

    ended = run("render", script, "--timeout", "0.05")

    assert ended.code == 8
    assert "still queued after 0.05 s" in ended.err


def test_ctrl_c_says_how_to_watch_and_cancel(run, server, script, monkeypatch):
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    server.answers = [answer(202, TASK), answer(200, TASK, ETag='"1"'), (304, {"Retry-After": "5"}, b"")]
    monkeypatch.setattr("scenemill.core.drivers.time.sleep", interrupt)

    ended = run("render", script)

    assert ended.code == 130
    assert f"scenemill tasks watch {TASK_ID}" in ended.err
    assert f"scenemill tasks cancel {TASK_ID}" in ended.err


def test_a_written_script_goes_to_a_file_or_to_stdout(run, server, home):
    written = {"scenes": [{"narration": "Tides rise."}]}
    done = TASK | {"kind": "script", "status": "succeeded", "progress": 1.0, "result": {"script": written}}
    server.answers = [answer(202, TASK), answer(200, done), answer(202, TASK), answer(200, done)]

    filed = run("write", "tides", "--scenes", "3", "--out", "tides.json")
    printed = run("write", "tides", "--quiet")

    assert (filed.code, filed.out) == (0, "tides.json\n")
    assert json.loads((home / "tides.json").read_text()) == written
    assert json.loads(printed.out) == written
    assert posted(server) == {"kind": "script", "brief": {"topic": "tides", "scenes": 3}}


def test_a_script_that_is_written_replaces_no_file_without_force(run, server, script):
    ended = run("write", "tides", "--out", script)

    assert ended.code == 2
    assert server.requests == []


def test_an_upload_that_is_refused_names_its_file(run, server, home):
    (home / "a.png").write_bytes(b"text")
    (home / "tale.json").write_text('{"scenes": [{"visual": {"type": "image", "src": "a.png"}}]}')
    server.answers = [answer(415, {"title": "Unknown type", "detail": "This is no picture, clip or sound."})]

    ended = run("render", "tale.json")

    assert ended.code == 3
    assert ended.err == "Error: a.png: Unknown type (415): This is no picture, clip or sound.\n"


def test_a_brief_is_made_of_a_text_and_refused_with_hints(run, server, home):
    (home / "text.txt").write_text("Tides rise.")
    (home / "latin.txt").write_bytes(b"\xff")
    server.answers = [problem(422, ("#/brief/topik", "Unknown field."))]

    refused = run("write", "--source", "text.txt", "--tone", "calm")
    unreadable = run("write", "--source", "latin.txt")
    both = run("write", "tides", "--source", "text.txt")

    assert posted(server)["brief"] == {"source_text": "Tides rise.", "tone": "calm"}
    assert "Did you mean topic?" in refused.err
    assert (refused.code, unreadable.code, both.code) == (3, 2, 2)
    assert "latin.txt is not UTF-8" in unreadable.err


@pytest.mark.slow
@pytest.mark.parametrize("program", [True, False])
def test_the_video_is_opened_in_its_program_if_there_is_one(server, script, home, program):
    opener = home / "xdg-open"
    if program:
        opener.write_text('#!/bin/sh\necho "$1" > opened\n')
        opener.chmod(0o755)
    server.answers = list(WHOLE)

    done = subprocess.run(
        [sys.executable, "-m", "scenemill", "--api", server.url, "--key", "k", "render", str(script), "--open"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": str(home)},
    )  # fmt: skip

    assert done.returncode == 0
    assert ("No program to open the video was found" in done.stderr) is not program
    if program:
        assert (
            eventually(lambda: (home / "opened").exists() and (home / "opened").read_text())
            == "tale/video.mp4\n"
        )


def eventually(look):
    """Return what is found once there is something, within ten seconds."""
    until = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found
