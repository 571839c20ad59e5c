"""However a command ends, there is an exit code and a sentence, and no traceback."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest

from scenemill.cli import failures
from scenemill.cli.command import OLD_NAMES, SECTIONS, cli
from tests.unit.client.cli.answers import TASK, answer, finished, page

SCENEMILL = (sys.executable, "-m", "scenemill")


def ending_with(error):
    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "/x/video.mp4"),
            7,
            "/x/video.mp4: No space left",
            id="full",
        ),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            7,
            "/x: Permission denied. Choose a place",
            id="permission",
        ),
        pytest.param(
            OSError(errno.EROFS, "Read-only file system", "/x"),
            7,
            "/x: Read-only file system",
            id="read-only",
        ),
        pytest.param(OSError("odd"), 7, "odd", id="a bare one"),
        pytest.param(KeyboardInterrupt(), 130, "", id="Ctrl-C"),
        pytest.param(click.Abort(), 2, "there is none on stdin", id="a question without an answer"),
        pytest.param(BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, "", id="broken pipe"),
        pytest.param(SystemExit(6), 6, "", id="another part's code"),
        pytest.param(RecursionError("deep"), 70, "An unexpected RecursionError: deep", id="recursion"),
        pytest.param(KeyError("x"), 70, "This is a bug in scenemill", id="a bug"),
        pytest.param(MemoryError(), 70, "An unexpected MemoryError", id="no memory"),
    ],
)
def test_every_end_has_a_code_and_a_sentence(error, code, words, capfd):
    assert failures.run(ending_with(error), []) == code

    err = capfd.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert code in failures.EXIT_CODES


def test_debug_shows_the_traceback_too(capsys):
    failures.run(cli, ["--debug", "nonsense"])

    assert "Traceback" in capsys.readouterr().err


def test_a_bug_says_how_to_report_it(capsys):
    failures.run(ending_with(ZeroDivisionError("division")), [])

    assert failures.REPORT in capsys.readouterr().err
    assert "--debug" in failures._bug(KeyError())[1]  # noqa: SLF001 (its text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["taks"], "There is no command 'taks'. Did you mean tasks?"),
        (["tasks", "lst"], "There is no command 'lst'. Did you mean list?"),
        (["xyzzy"], "There is no command 'xyzzy'."),
        (["tasks", "list", "--stats", "x"], "There is no option '--stats'. Did you mean --status?"),
        (["tasks", "list", "--key", "k"], "stands before the command: scenemill --key … tasks list"),
        (["tasks", "list", "--status", "done"], "'done' is not one of"),
        (["tasks", "list", "--limit", "0"], "0 is not in the range"),
        (["tasks", "show"], "Missing argument 'TASK_ID'"),
        (["assets", "upload", "none.png"], "'none.png' does not exist"),
    ],
)
def test_a_typing_error_is_told_with_what_was_meant_and_where_help_is(run, arguments, words):
    ended = run(*arguments)

    assert ended.code == 2
    assert words in ended.err
    assert "--help" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("status", "words"), [(401, "scenemill login"), (403, "lacks a scope"), (418, "Teapot")]
)
def test_a_refusal_says_what_to_do(run, server, status, words):
    server.answers = [answer(status, {"title": "Teapot"})]

    ended = run("tasks", "list")

    assert ended.code == 3
    assert words in ended.err


@pytest.mark.parametrize("arguments", [(), ("tasks",)])
def test_a_group_alone_shows_its_help_and_no_error(command, arguments):
    ended = command(*arguments)

    assert "Usage: scenemill" in ended.out + ended.err
    assert "Error" not in ended.err


def test_a_server_that_cannot_be_loaded_leaves_the_help_and_other_commands(command, monkeypatch):
    broken = EntryPoints([EntryPoint("up", "no_such_module:up", "scenemill.commands")])
    monkeypatch.setattr("scenemill.cli.groups.entry_points", broken.select)

    shown, path, up = command("--help"), command("config", "path"), command("up")

    assert (shown.code, path.code, up.code) == (0, 0, 70)
    assert "Cannot be loaded: No module named 'no_such_module'" in " ".join(shown.out.split())
    assert "no_such_module" in up.err


def environment(home, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
    return {**kept, "XDG_CONFIG_HOME": str(home / "config"), **more}


@pytest.mark.slow
def test_a_reader_that_ends_early_is_no_error(server, home):
    server.answers = [page(*[finished()] * 200)] * 2
    command = " ".join(
        (*SCENEMILL, "--api", server.url, "--key", "k", "tasks", "list", "--limit", "400", "--json")
    )

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -1 > /dev/null"],
        capture_output=True, text=True, timeout=60, check=False, env=environment(home),
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
def test_a_full_disk_below_stdout_is_told(server, home):
    server.answers = [page(TASK)]
    with open("/dev/full", "wb") as full:  # noqa: PTH123 (a device)
        done = subprocess.run(
            [*SCENEMILL, "--api", server.url, "--key", "k", "tasks", "list", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=environment(home),
        )  # fmt: skip

    assert done.returncode == 7
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_while_watching_ends_with_130_and_no_traceback(server, home):
    server.answers = [answer(200, TASK, ETag='"1"')] * 2 + [(304, {"Retry-After": "20"}, b"")] * 9
    process = subprocess.Popen(
        [*SCENEMILL, "--api", server.url, "--key", "k", "tasks", "watch", TASK["task_id"]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home),
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while len(server.requests) < 3 and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "scenemill tasks cancel" in err
    assert "Traceback" not in err


def words():
    """Return what a command line is made of, right and wrong."""
    names = [name for section in SECTIONS for name in section.commands] + list(OLD_NAMES)
    below = [
        "list",
        "show",
        "submit",
        "put",
        "set",
        "path",
        "create",
        "download",
        "results",
        "watch",
        "retry",
    ]
    options = [
        "--json",
        "--limit",
        "--out",
        "--api",
        "--key",
        "--profile",
        "--help",
        "-q",
        "--force",
        "--",
        "-",
        "--timeout",
    ]
    odd = [
        "",
        " ",
        "\0",
        "é",
        "💥",
        "-1",
        "1e309",
        "999999999999999999999",
        "{",
        "[red]",
        "--=",
        "---",
        "a" * 5000,
        "\udcff",
    ]
    return names + below + options + odd


def test_no_command_line_gives_a_traceback(run, monkeypatch, server):
    random_ = random.Random(11)  # noqa: S311 (the same lines in each run)
    vocabulary = words()
    # The answer to whatever is asked in the end: an error of the API's, so that nothing waits.
    server.answers = [answer(404, {"title": "Not found"})] * 10_000
    monkeypatch.setattr("scenemill.cli.output.interactive", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "x")
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: "x")

    for _ in range(150):
        line = [random_.choice(vocabulary) for _ in range(random_.randint(0, 6))]
        ended = run(*line, stdin=b"{")

        assert ended.code in {*failures.EXIT_CODES} - {failures.BUG}, (line, ended.err)
        assert "Traceback" not in ended.err, line


def test_the_help_of_every_command_has_an_example_and_fits_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    context = click.Context(cli, info_name="scenemill")
    paths = [[]]
    while paths:
        path = paths.pop()
        found = cli
        for word in path:
            found = found.get_command(context, word)
        if isinstance(found, click.Group):
            paths += [[*path, name] for name in found.list_commands(context)]
        ended = command(*path, "--help")

        assert ended.code == 0
        assert max(map(len, ended.out.splitlines())) <= 80, path
        assert (
            isinstance(found, click.Group)
            or path[0] in ("up", "demo", "doctor", "operator")
            or "Example" in ended.out
        ), path


def test_the_list_of_commands_says_what_their_own_help_says():
    for section in SECTIONS:
        for name, one in section.commands.items():
            assert one.load().name == name
            assert one.load().help
