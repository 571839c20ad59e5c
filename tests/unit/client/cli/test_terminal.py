"""What a terminal of 80 columns shows: whole lines, colours that mean something, and none where they are not wanted."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scenemill.cli import failures
from scenemill.cli.command import cli
from tests.unit.client.cli.answers import (
    ASSET,
    BATCH,
    BATCH_ID,
    KEY,
    TASK,
    TASK_ID,
    TEMPLATE,
    USAGE,
    answer,
    artifact,
    failed,
    finished,
    page,
)

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = 80
SERVER_COMMANDS = re.compile(r"On this machine:\n(  .*\n)+\n")  # their texts are the server's
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RUNNING = TASK | {
    "status": "running", "stage": "rendering", "progress": 0.42, "started_at": "2026-01-31T12:00:02Z", "attempt": 1,
    "scenes": [
        {"id": "opening", "status": "done", "progress": 1.0, "cached": True},
        {"id": "a-scene-with-quite-a-long-name-in-it", "status": "rendering", "progress": 0.25},
        {"id": "end", "status": "waiting"},
    ],
}  # fmt: skip
TRIED = {
    "valid": True, "errors": [], "warnings": ["The music is shorter than the video: it begins again at 0:41."],
    "timeline": [
        {"id": "opening", "start": 0.0, "duration": 4.2, "exact": True},
        {"id": "a-scene-with-quite-a-long-name-in-it", "start": 4.2, "duration": 61.0, "exact": False},
        {"id": "end", "start": 65.2, "duration": 1.5, "exact": True},
    ],
    "estimate": {"duration": 66.7, "render_seconds": 90.0, "speech_characters": 1058, "llm_tokens": 900, "cost": 0.25},
}  # fmt: skip
WRONG = {
    "valid": False,
    "errors": [
        {"pointer": "#/script/scenes/0/narations", "detail": "Unknown field."},
        {"pointer": "#/script/scenes/12/visual/fallback/src", "detail": "Must be asset:ID or an https URL, such as https://example.com/a.jpg."},
    ],
}  # fmt: skip


def moved(task, minutes):
    return task | {"created_at": (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()}


def cases():
    """Return command lines with the answers to them; made when they are used, since some tell how long ago something was."""
    return {
        "tasks-list": (
            ("tasks", "list"),
            [page(moved(RUNNING, 2.5), moved(finished(), 90), moved(failed(), 3000), moved(TASK | {"kind": "script"}, 90))],
        ),
        "tasks-show-running": (("tasks", "show", TASK_ID), [answer(200, RUNNING)]),
        "tasks-show-finished": (("tasks", "show", TASK_ID), [answer(200, finished("video.mp4", "captions.srt"))]),
        "tasks-show-failed": (("tasks", "show", TASK_ID), [answer(200, failed())]),
        "batch-show": (("batch", "show", BATCH_ID), [answer(200, BATCH), page(moved(finished(), 90), moved(failed(), 90))]),
        "assets-list": (("assets", "list"), [page(ASSET, ASSET | {"kind": "video", "bytes": 2_748_143, "duration": 75.2})]),
        "assets-show": (("assets", "show", "a"), [answer(200, ASSET)]),
        "templates-list": (
            ("templates", "list"),
            [page(TEMPLATE, TEMPLATE | {"template_id": "product-card", "built_in": True, "description": "A product. " * 12})],
        ),
        "templates-show": (("templates", "show", "greeting"), [answer(200, TEMPLATE)]),
        "voices": (("voices",), [page({"name": "en-us", "language": "en-US", "title": "American English"})]),
        "usage": (("usage",), [answer(200, USAGE)]),
        "keys-list": (
            ("keys", "list"),
            [
                page(
                    moved(KEY, 90),
                    moved(KEY, 3000) | {"name": "the first key of all", "scopes": ["jobs:read", "jobs:write", "assets:read"] * 2},
                    moved(KEY, 90) | {"revoked_at": "2026-02-01T00:00:00Z"},
                )
            ],
        ),
        "dry-run-valid": (("render", "-", "--dry-run"), [answer(200, TRIED)]),
        "dry-run-invalid": (("render", "-", "--dry-run"), [answer(200, WRONG)]),
        "help": (("--help",), []),
        "help-render": (("render", "--help"), []),
    }  # fmt: skip


class Terminal(io.StringIO):
    """Takes what is written, as a terminal does."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(server, home, monkeypatch):
    """Run the command as in a terminal of 80 columns, and return its code and all that it showed."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name, value in {
        "COLUMNS": str(COLUMNS),
        "LINES": "40",
        "TERM": "xterm-256color",
        "COLORTERM": "",
    }.items():
        monkeypatch.setenv(name, value)

    def call(*arguments, **environment):
        shown = Terminal()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"scenes": [{}]}')))
            patch.setattr("sys.stdout", shown)
            patch.setattr("sys.stderr", shown)
            code = failures.run(cli, ["--api", server.url, "--key", "k", *arguments])
        return code, shown.getvalue()

    yield call
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def real_terminal(server, home):
    """Run the command in a terminal of the kernel's, and return its code and all that it showed."""

    def call(*arguments):
        control, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "scenemill", "--api", server.url, "--key", "k", *arguments],
            stdin=terminal, stdout=terminal, stderr=terminal, env={**kept, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(terminal)
        shown = b""
        try:
            while block := os.read(control, 65536):
                shown += block
        except OSError:  # what Linux says at the end of a terminal
            pass
        os.close(control)
        return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")

    return call


@pytest.mark.parametrize("name", list(cases()))
def test_it_looks_as_it_was_when_somebody_looked_at_it(terminal, server, name, request):
    arguments, server.answers = cases()[name]

    _, shown = terminal(*arguments)

    text = "\n".join(line.rstrip() for line in ESCAPE.sub("", shown).splitlines()) + "\n"
    assert max(map(len, text.splitlines())) <= COLUMNS
    text = SERVER_COMMANDS.sub("", text)
    expected = GOLDEN / f"{name}.txt"
    if os.environ.get("SCENEMILL_UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_colours_are_for_terminals_that_want_them(terminal, server, run):
    entries = page(moved(failed(), 90))
    server.answers = [entries] * 5

    assert "\x1b[1;31mfailed" in terminal("tasks", "list")[1]
    assert "\x1b[1;31m" not in terminal("tasks", "list", NO_COLOR="1")[1]
    assert "\x1b" not in terminal("tasks", "list", TERM="dumb")[1]
    assert "\x1b" not in run("tasks", "list").out
    assert "\x1b" not in terminal("tasks", "list", "--json")[1]


def test_help_is_in_colour_on_terminals_alone(terminal, run):
    assert "\x1b[1mMake videos" in terminal("--help")[1]
    assert "\x1b[36m--limit" in terminal("tasks", "list", "--help")[1]
    assert "\x1b" not in terminal("tasks", "list", "--help", NO_COLOR="1")[1]
    assert "\x1b" not in run("--help").out


def test_errors_are_red_on_terminals_alone(terminal, run):
    assert "\x1b[31m\x1b[1mError: " in terminal("taks")[1]
    assert "\x1b" not in terminal("taks", NO_COLOR="1")[1]
    assert "\x1b" not in run("taks").err


@pytest.mark.slow
def test_progress_is_drawn_on_a_terminal_and_gone_at_the_end(real_terminal, server, home):
    (home / "tale.json").write_text('{"scenes": [{}]}')
    server.answers = [
        answer(202, TASK), answer(200, RUNNING, ETag='"1"'), answer(200, finished(), ETag='"2"'), (200, {}, b"video"),
    ]  # fmt: skip

    code, shown = real_terminal("render", "tale.json", "--out", "out")

    assert code == 0
    assert "rendering" in shown
    assert "a-scene-with-quite-a-long" not in shown.splitlines()[-4:]
    assert "1 of 3 scenes done, 1 from the cache" in ESCAPE.sub("", shown)
    assert shown.rstrip().splitlines()[-3].endswith("out/video.mp4")


@pytest.mark.slow
def test_what_stdout_cannot_encode_is_no_error(server, home):
    odd = artifact("é.mp4") | {"width": None}
    server.answers = [answer(200, finished() | {"custom_id": "Größe ━", "result": {"artifacts": [odd]}})] * 2
    command = [sys.executable, "-m", "scenemill", "--api", server.url, "--key", "k", "tasks", "show", TASK_ID]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}

    shown = subprocess.run(command, capture_output=True, timeout=60, check=False, env=environment)
    as_json = subprocess.run(
        [*command, "--json"], capture_output=True, timeout=60, check=False, env=environment
    )

    assert (shown.returncode, as_json.returncode) == (0, 0), shown.stderr
    assert "Größe ?".encode("latin-1") in shown.stdout
    assert b'"Gr\\u00f6\\u00dfe \\u2501"' in as_json.stdout
