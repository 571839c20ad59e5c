"""Which API is called and with which key: options, environment, configuration, login, local stack; in this order."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scenemill.auth import Tokens
from scenemill.cli import config
from scenemill.cli.saved import Saved
from tests.unit.client.cli.answers import TASK, answer, page

KEYS = {
    "option": "from-option",
    "environment": "from-environment",
    "config": "from-config",
    "stack": "from-stack",
}


@pytest.fixture
def used(command, server):
    """Return the key, or the token, that a command brings to the server."""

    def call(*options):
        server.answers = [page(TASK)]
        server.requests.clear()
        ended = command(*options, "--verbose", "tasks", "list", "--json")
        assert ended.code == 0, ended.err
        return server.requests[0]["headers"]["authorization"].removeprefix("Bearer "), ended.err

    return call


def stack(folder, api, *, key=KEYS["stack"], pid=None):
    """Write what `scenemill up` writes."""
    (folder / ".scenemill").mkdir(exist_ok=True)
    state = {"api": api, "api_key": key, "pids": {"supervisor": [pid or os.getpid()]}}
    (folder / ".scenemill" / "up.json").write_text(json.dumps(state))


def configured(api, key=None):
    config.save(config.load().changed("default", "api", api).changed("default", "key", key))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_stack_of_a_folder_above_is_found_without_any_setting(used, server, home, monkeypatch):
    stack(home, server.url)
    (home / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(home / "a" / "b")

    key, said = used()

    assert key == KEYS["stack"]
    assert f"API: {server.url} (the stack on {home / '.scenemill'})" in said


def test_each_place_goes_before_the_next_one(used, server, home, monkeypatch):
    stack(home, server.url)
    seen = [used()[0]]
    configured(server.url, KEYS["config"])
    seen.append(used()[0])
    monkeypatch.setenv("SCENEMILL_API_KEY", KEYS["environment"])
    seen.append(used()[0])
    seen.append(used("--key", KEYS["option"])[0])

    assert seen == [KEYS["stack"], KEYS["config"], KEYS["environment"], KEYS["option"]]


def test_a_login_goes_before_the_stack_and_after_a_stored_key(used, server, home):
    stack(home, server.url)
    store = Saved(config.folder() / "logins.json", server.url)
    with store.locked():
        store.save(Tokens("token", "r", 4e9))
    by_login = used()
    configured(server.url, KEYS["config"])

    assert by_login[0] == "token"
    assert "Key: a login" in by_login[1]
    assert used()[0] == KEYS["config"]


def test_the_address_has_the_same_order(command, home, monkeypatch):
    def address(*options):
        return json.loads(command(*options, "config", "show", "--json").out)["api"]

    seen = [address()]
    stack(home, "http://127.0.0.1:1001/")
    seen.append(address())
    configured("http://configured:1002")
    seen.append(address())
    monkeypatch.setenv("SCENEMILL_API", "http://environment:1003")
    seen.append(address())
    seen.append(address("--api", "https://option:1004/x/"))

    assert seen == [
        "http://127.0.0.1:8000",
        "http://127.0.0.1:1001",
        "http://configured:1002",
        "http://environment:1003",
        "https://option:1004/x",
    ]


def test_a_key_never_goes_to_another_address_than_its_own(command, server, home):
    stack(home, "http://127.0.0.1:9", key=KEYS["stack"])
    configured("http://127.0.0.1:10", KEYS["config"])

    ended = command("--api", server.url, "tasks", "list")

    assert ended.code == 2
    assert "There is no API key" in ended.err
    assert server.requests == []


@pytest.mark.parametrize(
    ("write", "note"),
    [
        pytest.param(
            lambda home: stack(home, "http://127.0.0.1:9", pid=dead_pid()), "was killed", id="killed"
        ),
        pytest.param(lambda home: (home / ".scenemill").mkdir(), "no stack runs on", id="stopped"),
        pytest.param(lambda home: stack(home, "http://example.com"), "not on this machine", id="elsewhere"),
        pytest.param(
            lambda home: ((home / ".scenemill").mkdir(), (home / ".scenemill" / "up.json").write_text("[]")),
            "is not a state file",
            id="another file",
        ),
        pytest.param(
            lambda home: ((home / ".scenemill").mkdir(), (home / ".scenemill" / "up.json").write_text("{")),
            "cannot be read",
            id="half a file",
        ),
    ],
)
def test_a_stack_that_does_not_run_is_told_and_not_called(command, home, write, note):
    write(home)

    ended = command("tasks", "list")

    assert ended.code == 2
    assert "There is no API key for http://127.0.0.1:8000" in ended.err
    assert note in ended.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_stack_of_another_user_is_not_used(command, server, home):
    stack(home, server.url)
    os.chown(home / ".scenemill" / "up.json", 12345, 12345)

    ended = command("tasks", "list")

    assert ended.code == 2
    assert "belongs to another user" in ended.err
    assert server.requests == []


@pytest.mark.parametrize(
    "api", ["localhost:8000", "ftp://x", "http://", "http://[::1", "http://x:99999", "http://x:0", "x"]
)
def test_an_address_that_is_none_is_told(command, api):
    ended = command("--api", api, "--key", "k", "tasks", "list")

    assert ended.code == 2
    assert f"--api is {api!r}, which is not the address of an API" in ended.err


def test_an_api_that_does_not_answer_ends_with_4(command):
    ended = command("--api", "http://127.0.0.1:9", "--key", "k", "tasks", "list")

    assert ended.code == 4
    assert ended.err.startswith("Error: No answer from http://127.0.0.1:9")


def test_profiles_hold_an_address_and_a_key_each(command, server, home):
    commands = [
        ("config", "set", "api", f"{server.url}/"),
        ("config", "set", "key", "first-key-0123456789"),
        ("--profile", "other", "config", "set", "api", "http://other:1"),
        ("config", "set", "profile", "other"),
    ]
    assert [command(*one).code for one in commands] == [0, 0, 0, 0]

    other = json.loads(command("config", "show", "--json").out)
    default = json.loads(command("--profile", "default", "config", "show", "--json").out)
    shown = command("--profile", "default", "config", "show").out

    assert (other["api"], other["profile"]) == ("http://other:1", "other")
    assert (default["api"], default["key"]) == (server.url, "first-key-01…")
    assert "first-key-0123456789" not in shown
    assert config.path().stat().st_mode & 0o777 == 0o600
    assert command("config", "path").out == f"{config.path()}\n"


def test_an_empty_value_removes_a_setting(command, server):
    command("config", "set", "api", server.url)

    assert command("config", "set", "api", "").out == "api of profile 'default' is removed.\n"
    assert config.load().profiles == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["config", "set", "key", "k"], "Set that first: scenemill config set api URL"),
        (["config", "set", "api", "nowhere"], "not the address of an API"),
        (["config", "set", "profile", "none"], "Known profiles: none"),
        (["--profile", "none", "tasks", "list"], "There is no profile 'none'"),
        (["config", "set", "key"], "asked for on a terminal alone"),
        (["login", "--user", "ann"], "give it by --password-stdin"),
        (["login"], "there is none on stdin"),
        (["config", "set", "colour", "red"], "'colour' is not one of 'api', 'key', 'profile'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(command, arguments, words):
    ended = command(*arguments)

    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"profiles": {"a": {"colour": "red"}}}', '{"profiles": {"a": {"api": 1}}}']
)
def test_a_configuration_that_cannot_be_used_is_named(command, home, content):
    config.path().parent.mkdir(parents=True)
    config.path().write_text(content)

    ended = command("tasks", "list")

    assert ended.code == 2
    assert f"{config.path()} cannot be used" in ended.err


TOKENS = {"access_token": "a1", "refresh_token": "r1", "expires_in": 900, "token_type": "Bearer"}


@pytest.fixture
def typed(monkeypatch):
    """Type what the command asks for."""
    words = []
    monkeypatch.setattr("scenemill.cli.output.interactive", lambda: True)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: words.pop(0))
    return words


def test_a_login_serves_all_commands_until_it_is_ended(run, command, server, typed):
    typed += ["one-time", "another password", "another password"]
    needed = {"code": "password-change-needed", "title": "Set a password"}
    server.answers = [answer(400, needed), answer(200, TOKENS), page(TASK), answer(200, {})]

    logged_in = run("login", "--user", "ann", key="")
    listed = command("tasks", "list", "--json")  # its address was stored with the login
    logged_out = command("logout")
    after = command("tasks", "list")

    assert [one.code for one in (logged_in, listed, logged_out, after)] == [0, 0, 0, 2]
    assert logged_in.out == f"Logged in at {server.url} as ann.\n"
    assert listed.lines[0]["task_id"] == TASK["task_id"]
    assert server.requests[2]["headers"]["authorization"] == "Bearer a1"
    assert server.requests[3]["body"] == b"token=r1"
    assert b"new_password=another+password" in server.requests[1]["body"]
    assert "scenemill login" in after.err


def test_passwords_come_from_stdin(run, server):
    needed = {"code": "password-change-needed", "title": "Set a password"}
    server.answers = [answer(400, needed), answer(200, TOKENS)]

    ended = run("login", "--user", "ann", "--password-stdin", "--json", key="", stdin=b"one-time\nanother\n")
    empty = run("login", "--user", "ann", "--password-stdin", key="")

    assert ended.lines == [{"api": server.url, "user": "ann", "logged_in": True}]
    assert b"new_password=another" in server.requests[1]["body"]
    assert empty.code == 2
    assert "no line for it on stdin" in empty.err


def test_a_wrong_password_stores_nothing(run, server, typed):
    typed.append("wrong")
    server.answers = [answer(400, {"title": "Not accepted", "error": "invalid_grant"})]

    ended = run("login", "--user", "ann", key="")

    assert ended.code == 3
    assert "Not accepted" in ended.err
    assert run("logout", key="").out == f"Nobody was logged in at {server.url}.\n"
    assert not config.path().exists()
