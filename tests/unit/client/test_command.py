"""The `scenemill` command: what it says and with which code it ends."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest

from scenemill.cli import command

TASK = {"task_id": "t1", "kind": "video", "status": "queued", "stage": None, "progress": 0.0, "scenes": []}
VIDEO = b"video"


@pytest.fixture
def run(server, monkeypatch, capsys, tmp_path):
    """Run the command as the shell does, and return its code, stdout and stderr."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def call(*arguments, key="secret"):
        monkeypatch.setattr(sys, "argv", ["scenemill", "--api", server.url, "--key", key, *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def answer(status, body):
    return (status, {"Retry-After": "0"}, json.dumps(body).encode())


def finished(name="video.mp4"):
    made = {
        "name": name,
        "url": "/v1/tasks/t1/artifacts/video.mp4",
        "media_type": "video/mp4",
        "bytes": len(VIDEO),
        "sha256": hashlib.sha256(VIDEO).hexdigest(),
        "width": 1280,
        "height": 720,
        "duration": 3.5,
    }
    usage = {"rendered_segments": 1, "cached_segments": 4, "render_seconds": 2.0}
    result = {"duration": 3.5, "artifacts": [made], "usage": usage}
    return TASK | {"status": "succeeded", "progress": 1.0, "result": result}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "tale.json"
    path.write_text(json.dumps({"scenes": [{"narration": "Hello"}]}))
    return path


def test_rendering_downloads_the_files_and_says_what_they_are(run, server, script, tmp_path):
    server.answers = [answer(202, TASK), answer(200, finished()), (200, {}, VIDEO)]

    code, out, _ = run("render", str(script), "--out", str(tmp_path / "out"), "--aspect", "9:16")

    posted = json.loads(server.requests[0]["body"])
    assert code == 0
    assert posted == {
        "kind": "video",
        "script": {"scenes": [{"narration": "Hello"}]},
        "output": {"aspect": "9:16"},
    }
    assert (tmp_path / "out" / "video.mp4").read_bytes() == VIDEO
    assert "3.5 s, 1280x720" in out
    assert "1 segments rendered, 4 from the cache" in out


def test_a_whole_job_keeps_its_output_and_options_win(run, server, tmp_path):
    path = tmp_path / "job.json"
    path.write_text(
        json.dumps({"kind": "video", "output": {"fps": 25, "aspect": "1:1"}, "script": {"scenes": [{}]}})
    )
    server.answers = [answer(202, TASK), answer(200, finished()), (200, {}, VIDEO)]

    run(
        "render",
        str(path),
        "--out",
        str(tmp_path / "out"),
        "--aspect",
        "4:5",
        "--output",
        '{"formats": ["gif"]}',
    )

    posted = json.loads(server.requests[0]["body"])
    assert posted["output"] == {"fps": 25, "aspect": "4:5", "formats": ["gif"]}


@pytest.mark.parametrize(
    "made_of", [{"template_id": "quote", "fields": {"author": "A"}}, {"brief": {"topic": "Tides"}}]
)
def test_a_job_may_be_made_of_something_else_than_a_script(run, server, tmp_path, made_of):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(made_of))
    server.answers = [answer(202, TASK), answer(200, finished()), (200, {}, VIDEO)]

    run("render", str(path), "--out", str(tmp_path / "out"))

    assert json.loads(server.requests[0]["body"]) == {"kind": "video", **made_of}


def test_an_artifact_cannot_be_written_outside_its_folder(run, server, script, tmp_path):
    server.answers = [answer(202, TASK), answer(200, finished("../evil.mp4"))]

    code, _, err = run("render", str(script), "--out", str(tmp_path / "out"))

    assert code == 5
    assert "outside the folder" in err
    assert not (tmp_path / "evil.mp4").exists()


def test_a_failed_job_ends_with_1_and_its_reason(run, server, script):
    problem = {"detail": "Scene opening: the image cannot be read.", "code": "asset-unreadable"}
    server.answers = [answer(202, TASK), answer(200, TASK | {"status": "failed", "error": problem})]

    code, _, err = run("render", str(script))

    assert code == 1
    assert "the image cannot be read. (asset-unreadable)" in err


def test_a_refused_script_ends_with_3_and_every_pointer(run, server, script):
    places = [{"pointer": "#/script/scenes/0/narration", "detail": "Too long."}]
    server.answers = [answer(422, {"title": "Invalid input", "errors": places})]

    code, _, err = run("render", str(script))

    assert code == 3
    assert "#/script/scenes/0/narration: Too long." in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "There is no file", id="missing"),
        pytest.param("{", "is not JSON", id="broken"),
        pytest.param("[]", "is not a JSON object", id="a list"),
    ],
)
def test_a_script_that_cannot_be_read_ends_with_2(run, server, tmp_path, content, words):
    path = tmp_path / "tale.json"
    if content is not None:
        path.write_text(content)

    code, _, err = run("render", str(path))

    assert code == 2
    assert words in err.replace("\n", " ")
    assert server.requests == []


def test_without_a_key_the_command_says_which_are_its_places(run):
    code, _, err = run("jobs", key="")

    assert code == 2
    assert "SCENEMILL_API_KEY" in err


def test_jobs_are_listed_one_json_line_a_task(run, server):
    server.answers = [answer(200, {"data": [TASK, finished()], "next_cursor": None})]

    code, out, _ = run("jobs", "--json")

    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["queued", "succeeded"]


def test_a_written_script_goes_to_a_file(run, server, tmp_path):
    written = {"scenes": [{"narration": "Tides rise."}]}
    done = TASK | {"kind": "script", "status": "succeeded", "progress": 1.0, "result": {"script": written}}
    server.answers = [answer(202, TASK), answer(200, done)]

    code, _, _ = run("write", "tides", "--scenes", "3", "--out", str(tmp_path / "tides.json"))

    assert code == 0
    assert json.loads((tmp_path / "tides.json").read_text()) == written
    assert json.loads(server.requests[0]["body"]) == {
        "kind": "script",
        "brief": {"topic": "tides", "scenes": 3},
    }


def test_cancel_and_status_speak_of_the_task(run, server):
    server.answers = [
        answer(202, TASK),
        answer(200, TASK | {"status": "running", "stage": "rendering", "progress": 0.5}),
    ]

    canceled, cancel_out, _ = run("cancel", "t1")
    looked, status_out, _ = run("status", "t1")

    assert (canceled, looked) == (0, 0)
    assert "t1: canceling" in cancel_out
    assert "video running 50% rendering" in status_out


TOKENS = {"access_token": "a1", "refresh_token": "r1", "expires_in": 900, "token_type": "Bearer"}


@pytest.fixture
def typed(monkeypatch):
    """Type what the command asks for."""
    words = []
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: words.pop(0))
    return words


def test_a_log_in_serves_all_commands_until_it_is_ended(run, server, typed):
    typed += ["one-time", "another password", "another password"]
    needed = {"code": "password-change-needed", "title": "Set a password"}
    server.answers = [
        answer(400, needed),
        answer(200, TOKENS),
        answer(200, {"data": [TASK]}),
        answer(200, {}),
    ]

    logged_in = run("login", "--user", "ann", key="")
    listed = run("jobs", "--json", key="")
    logged_out = run("logout", key="")
    after = run("jobs", key="")

    assert [code for code, _, _ in (logged_in, listed, logged_out, after)] == [0, 0, 0, 2]
    assert "ann" in logged_in[1]
    assert json.loads(listed[1])["task_id"] == "t1"
    assert server.requests[2]["headers"]["authorization"] == "Bearer a1"
    assert server.requests[3]["body"] == b"token=r1"
    assert b"new_password=another+password" in server.requests[1]["body"]
    assert "scenemill login" in after[2]


def test_a_wrong_password_saves_nothing(run, server, typed):
    typed.append("wrong")
    server.answers = [answer(400, {"title": "Not accepted", "error": "invalid_grant"})]

    code, _, err = run("login", "--user", "ann", key="")

    assert code == 3
    assert "Not accepted" in err
    assert run("logout", key="")[1] == "Nobody was logged in.\n"


def test_uploading_names_the_assets(run, server, tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"x" * 1000)
    asset = {"asset_id": "a1", "media_type": "image/png", "bytes": 1000, "sha256": "0"}
    server.answers = [answer(201, asset), answer(201, asset)]

    code, out, _ = run("upload", str(file))
    _, line, _ = run("upload", "--json", str(file))

    assert (code, out) == (0, f"asset:a1  {file}\n")
    assert json.loads(line) == {"file": str(file), **asset}
