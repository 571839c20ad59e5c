"""What a data folder remembers of a stack that was killed, and what is ended because of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest

from workers.local import postgres
from workers.local.ports import free_port
from workers.local.state import STACK_VARIABLE, AlreadyRunning, State

pytestmark = pytest.mark.services

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper():
    """Start programs that sleep, and end them with the test."""
    started = []

    def start(cwd, **env):
        process = subprocess.Popen(SLEEP, cwd=cwd, env=env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def has_ended(process):
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_only_one_stack_holds_a_folder(tmp_path):
    with (
        State(tmp_path).locked(),
        pytest.raises(AlreadyRunning, match="already running"),
        State(tmp_path).locked(),
    ):
        pytest.fail("Two held the folder.")

    with State(tmp_path).locked():
        held_again = True
    assert held_again


def test_a_recorded_program_that_still_runs_is_ended(tmp_path, sleeper):
    process = sleeper(tmp_path)
    State(tmp_path).record([("api", process.pid)])

    ended = State(tmp_path).end_orphans()

    assert ended == ["api"]
    assert has_ended(process)


def test_orphaned_children_are_recognised_by_their_environment(tmp_path, sleeper):
    process = sleeper("/", **{STACK_VARIABLE: str(tmp_path)})
    other = sleeper("/", **{STACK_VARIABLE: f"{tmp_path}-other"})

    State(tmp_path).end_orphans()

    assert has_ended(process)
    assert other.poll() is None


def test_another_program_with_a_recorded_pid_is_left_alone(tmp_path, sleeper):
    stranger = sleeper("/")
    moved = sleeper(tmp_path)
    rows = [
        {"name": "api", "pid": stranger.pid, "started": psutil.Process(stranger.pid).create_time()},
        {"name": "beat", "pid": moved.pid, "started": psutil.Process(moved.pid).create_time() - 3600},
    ]
    (tmp_path / "processes.json").write_text(json.dumps(rows))

    ended = State(tmp_path).end_orphans()

    assert ended == []
    assert stranger.poll() is None
    assert moved.poll() is None


def test_postgres_starts_despite_a_stale_pid_file_of_a_reused_pid(open_folder, sleeper):
    folder = open_folder / "stale"
    server = postgres.prepare(folder, free_port())
    stale = server.data / "postmaster.pid"
    stale.write_text(f"{sleeper('/').pid}\n{server.data}\n1\n5432\n\n127.0.0.1\n0 0\nready\n")

    State(folder).end_orphans()

    assert not stale.exists()


def test_state_files_are_private(tmp_path):
    State(tmp_path).write_addresses({"api_key": "secret"})

    assert (tmp_path / "up.json").stat().st_mode & 0o077 == 0
    assert State(tmp_path).addresses() == {"api_key": "secret"}


def test_a_full_disk_leaves_the_last_record(tmp_path):
    state = State(tmp_path)
    state.record([("api", os.getpid())])
    last = (tmp_path / "processes.json").read_text()
    (tmp_path / "processes.draft").symlink_to("/dev/full")

    state.record([("api", os.getpid()), ("redis", os.getpid())])

    assert (tmp_path / "processes.json").read_text() == last


def test_a_damaged_process_record_kills_nothing(tmp_path):
    (tmp_path / "processes.json").write_text('[{"name": "api", "pi')

    assert State(tmp_path).end_orphans() == []
    assert psutil.pid_exists(os.getpid())
