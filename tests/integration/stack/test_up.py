"""`scenemill up` as its user meets it: ready, killed, started again, stopped; as root and as a plain user."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from scenemill import Scenemill
from workers.local.ports import free_port
from workers.local.state import STACK_VARIABLE

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]


class Up:
    """One run of the command."""

    def __init__(self, data, *options, python=sys.executable, **popen):
        self.data = data
        argv = [python, "-m", "scenemill", "up", "--port", "0", "--json", "--data", str(data), *options]
        self.errors = (data.parent / f"{data.name}.err").open("w+")
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self.errors, text=True, **popen)

    def ready(self):
        """Wait for the line of addresses."""
        line = self.process.stdout.readline()
        if not line:
            said = self.said()
            self.close()
            pytest.fail(said)
        return json.loads(line)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()[-3000:]

    def end(self, number):
        """Send a signal, and return the code and all that was still to read."""
        self.process.send_signal(number)
        return self.close()

    def close(self):
        rest = self.process.stdout.read()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.errors.close()
        return code, rest


def processes_of(data):
    """Return what runs for a stack on this folder: it works in there, or its environment says so."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if Path(process.cwd()).is_relative_to(data) or process.environ().get(STACK_VARIABLE) == str(data):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for_silence(data, seconds=10):
    """Return what still runs after so many seconds at most."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def all_pids(node):
    if isinstance(node, dict):
        return [pid for value in node.values() for pid in all_pids(value)]
    return list(node)


@pytest.fixture(scope="module")
def data(open_folder):
    """Give a folder with spaces, and too long for a Unix socket's path."""
    folder = open_folder / ("a folder with spaces " * 5).strip() / "data"
    folder.parent.mkdir()
    return folder


@pytest.fixture(scope="module")
def first(data):
    up = Up(data)
    yield up, up.ready()
    if up.process.poll() is None:
        up.end(signal.SIGTERM)


def test_every_address_that_up_prints_answers(first):
    _, said = first

    with httpx.Client(headers={"Authorization": f"Bearer {said['api_key']}"}) as http:
        assert http.get(f"{said['api']}/readyz").status_code == 200
        assert http.get(f"{said['api']}/v1/tasks").json()["data"] == []
        assert (
            "scenemill" in http.get(said["metrics"]["api"]).text
            or http.get(said["metrics"]["api"]).is_success
        )
        for url in said["metrics"]["workers"].values():
            assert http.get(url).is_success
    assert httpx.get(said["flower"]).status_code == 401
    assert httpx.get(said["flower"], auth=tuple(said["flower_auth"].split(":"))).status_code == 200
    assert all(psutil.pid_exists(pid) for pid in all_pids(said["pids"]))
    assert set(said["pids"]["workers"]) == {"scripts", "renders", "control"}


def test_a_healthy_start_logs_no_error_and_leaves_the_terminal_alone(first, data):
    up, _ = first
    events = [json.loads(line) for line in (data / "logs" / "scenemill.log").read_text().splitlines()]

    assert [event for event in events if event["level"] in ("ERROR", "CRITICAL")] == []
    assert up.said() == ""


def test_other_users_of_the_machine_read_neither_files_nor_logs(first, data):
    for name in ("storage", "work", "logs"):
        assert (data / name).stat().st_mode & 0o077 == 0, name


def test_no_secret_is_in_the_log_or_in_a_command_line(first, data):
    up, said = first
    secrets = [said["api_key"], said["flower_auth"].split(":")[1], (data / "postgres.password").read_text()]
    secrets.append((data / "redis.password").read_text())
    lines = [" ".join(process.cmdline()) for process in processes_of(data)]
    lines.append((data / "logs" / "scenemill.log").read_text())
    lines.append(Path(up.errors.name).read_text())

    assert [secret[:6] for secret in secrets if any(secret in line for line in lines)] == []


def test_every_log_line_has_the_same_form(first, data):
    events = [json.loads(line) for line in (data / "logs" / "scenemill.log").read_text().splitlines()]

    assert all({"time", "level", "logger", "event", "service"} <= set(event) for event in events)
    assert {"postgres", "redis", "api", "local"} <= {event["service"] for event in events}


def test_a_second_one_on_the_same_folder_says_that_it_runs_already_and_where(first, data):
    second = Up(data)

    code, out = second.close()

    said = Path(second.errors.name).read_text().replace("\n", " ")
    assert code == 6
    assert out == ""
    assert "already running" in said
    assert first[1]["api"] in said


def test_the_demo_renders_its_example_on_the_stack_that_runs(first, data):
    argv = [sys.executable, "-m", "scenemill", "demo", "--data", str(data)]

    shown = subprocess.run(argv, capture_output=True, text=True, timeout=150, check=False)
    again = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert (shown.returncode, again.returncode) == (0, 0), shown.stdout + shown.stderr + again.stderr
    made = data / "demo" / "video.mp4"
    assert str(made) in shown.stdout
    assert "1280x720" in shown.stdout
    assert "segments rendered, 0 from the cache" in shown.stdout
    assert "0 segments rendered, " in again.stdout
    assert {path.name for path in made.parent.iterdir()} == {
        "video.mp4",
        "captions.srt",
        "captions.vtt",
        "poster.jpg",
    }
    assert first[0].process.poll() is None


def test_a_kill_leaves_no_process_and_the_next_start_keeps_the_data(first, data):
    up, said = first
    with Scenemill(said["api"], said["api_key"]) as api:
        task = api.tasks.wait(api.jobs.submit({"kind": "script", "brief": {"topic": "Tides"}}))

    up.process.kill()
    up.close()
    left = wait_for_silence(data)

    assert left == []

    again = Up(data)
    after = again.ready()
    with Scenemill(after["api"], said["api_key"]) as api:
        kept = api.tasks.get(task)
    pids = all_pids(after["pids"])
    code, _ = again.end(signal.SIGINT)

    assert kept == task
    assert kept.status == "succeeded"
    assert after["api_key"] == said["api_key"]
    assert code == 0
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert processes_of(data) == []
    assert not (data / "up.json").exists()


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(tmp_path / "data", "--port", str(port))
        code, _ = up.close()

    assert code == 6
    assert f"Port {port} is taken" in Path(up.errors.name).read_text()
    assert f"make up PORT={port + 1}" in Path(up.errors.name).read_text()


def test_the_table_of_addresses_and_the_key_comes_last(tmp_path):
    """Everything goes to one file, as to one terminal."""
    screen = tmp_path / "screen"
    argv = [
        sys.executable,
        "-m",
        "scenemill",
        "up",
        "--port",
        str(free_port()),
        "--data",
        str(tmp_path / "data"),
    ]
    with screen.open("w") as terminal:
        process = subprocess.Popen(argv, stdout=terminal, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "API key" in screen.read_text())
        shown = screen.read_text()
        key = (tmp_path / "data" / "api.key").read_text().strip()
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as http:
            (address,) = re.findall(r"Open +(\S+)", shown)
            assert http.get(f"{address}v1/tasks").is_success
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)

    assert code == 0
    assert shown.splitlines()[-1].split() == ["API", "key", key]
    assert not [line for line in shown.splitlines() if line.startswith("{")]
    assert screen.read_text().removeprefix(shown).splitlines()[-1] == "Stopped."


def wait_until(holds, seconds=90):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def plain_user():
    """Make a user, and say with which Python it can run our code."""
    if os.geteuid() != 0:
        pytest.skip("Only root can become another user; everything else here ran as a plain one.")
    if shutil.which("useradd") is None:
        pytest.skip("useradd is not on this machine.")
    name = f"sm{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def python_for(user):
    """Return a Python that the user may run, and the environment in which it finds our packages."""
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    env = {
        "PATH": os.defpath,
        "HOME": user.pw_dir,
        "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}",
        "PYTHONSAFEPATH": "1",
    }
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            tried = subprocess.run(
                [candidate, "-c", "import psycopg2, redis, workers.app"],
                env=env,
                cwd="/",
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                capture_output=True,
                timeout=60,
                check=False,
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return candidate, env
    pytest.skip(f"No {version} that finds all our packages is open to other users than root here.")


def test_a_plain_user_runs_it_in_a_home_folder(plain_user):
    python, env = python_for(plain_user)
    data = Path(plain_user.pw_dir) / "my videos" / "data"
    data.parent.mkdir()
    os.chown(data.parent, plain_user.pw_uid, plain_user.pw_gid)

    up = Up(
        data,
        python=python,
        env=env,
        cwd=plain_user.pw_dir,
        user=plain_user.pw_uid,
        group=plain_user.pw_gid,
        extra_groups=[],
    )
    said = up.ready()
    owners = {psutil.Process(pid).uids().effective for pid in all_pids(said["pids"])}
    answered = httpx.get(f"{said['api']}/readyz")
    code, _ = up.end(signal.SIGTERM)

    assert owners == {plain_user.pw_uid}
    assert answered.status_code == 200
    assert code == 0
    assert processes_of(data) == []
