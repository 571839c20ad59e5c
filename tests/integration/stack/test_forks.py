"""The fork server, and a supervisor that starts programs by it: real processes all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.integration.stack import programs
from tests.integration.stack.programs import STAY, runs
from workers.local.fork_client import ForkClient
from workers.local.services import Service
from workers.local.supervisor import StartFailed

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not ForkClient.possible, reason="only Linux has what it takes"),
]

TELL = """
import json, os, sys
import shared_by_all
print(json.dumps({
    "argv": sys.argv[1:], "name": __name__, "environment": dict(os.environ), "folder": os.getcwd(),
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1], "leader": os.getsid(0) == os.getpid(),
    "imported_by": shared_by_all.PID, "pid": os.getpid(), "title": open("/proc/self/comm").read().strip(),
}), flush=True)
"""
LIVES = """
import os, pathlib, sys, time
with pathlib.Path(sys.argv[1]).open("a") as file:
    file.write(f"{os.getpid()}:{os.getppid()}\\n")
time.sleep(60)
"""


class Stage(programs.Stage):
    """A fork server that has imported a small module, and programs to fork from it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.forks = ForkClient()
        (folder / "shared_by_all.py").write_text("import os\nPID = os.getpid()\n")

    def server(self):
        return Service(
            name="forkserver",
            argv=(sys.executable, "-m", "workers.local.fork_server", "shared_by_all"),
            cwd=self.folder,
            env={"PATH": os.defpath, "PYTHONPATH": str(self.folder)},
            launch=self.forks.start_server,
            ready=self.forks.ready,
            stop_order=2,
        )

    def forked(self, name, code, *arguments, **facts):
        (self.folder / f"{name}.py").write_text(code)
        facts = {"after": ("forkserver",), "stop_order": 1, **facts}
        argv = (sys.executable, "-m", name, *arguments)
        env = {"ONLY": "this"}
        return Service(name=name, argv=argv, cwd=self.folder, env=env, launch=self.forks.fork, **facts)

    def run(self, services, on_ready=lambda _: False):
        return super().run((self.server(), *services), on_ready)

    def close(self):
        self.forks.close()
        super().close()


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    yield made
    made.close()


def test_a_fork_behaves_like_a_new_python_process_with_modules_preloaded(stage):
    stage.run([stage.forked("tell", TELL, "--one", "two", one_shot=True)])

    said = next(event for event in stage.events() if event["service"] == "tell" and "argv" in event)
    assert said["argv"] == ["--one", "two"]
    assert said["name"] == "__main__"
    assert said["environment"] == {"ONLY": "this"}
    assert said["folder"] == str(stage.folder)
    assert said["descriptors"] == [0, 1, 2]
    assert said["leader"]
    assert said["title"] == "tell"
    assert said["imported_by"] not in (said["pid"], os.getpid())


def test_a_fork_s_exit_code_and_last_output_are_reported(stage):
    with pytest.raises(StartFailed, match=r"ends ended with 3\.\nlast words"):
        stage.run([stage.forked("ends", "import sys; print('last words'); sys.exit(3)", ready=lambda: False)])


@pytest.mark.parametrize("killed", ["stays", "forkserver"])
def test_a_fork_that_dies_alone_or_with_its_server_is_restarted(stage, killed):
    lives = stage.folder / "lives"
    pids = {}

    def kill(supervisor):
        pids.update({name: supervisor.pids(name)[0] for name in ("forkserver", "stays")})
        os.kill(pids[killed], signal.SIGKILL)
        return True

    def twice():
        """Stop the supervisor once the program has started for the second time."""
        if len(lives.read_text().split()) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return True

    stays = stage.forked("stays", LIVES, str(lives), ready=lambda: lives.exists() and twice())
    stage.run([stays], kill)

    died = {event["program"]: event["code"] for event in stage.events() if event["event"] == "program_died"}
    assert died == dict.fromkeys({"stays", killed}, -signal.SIGKILL)
    (first, _), (second, parent) = (line.split(":") for line in lives.read_text().split())
    assert int(first) == pids["stays"]
    assert (int(parent) == pids["forkserver"]) == (killed == "stays")
    assert not any(map(runs, (int(first), int(second), int(parent))))


def test_programs_start_alone_without_a_fork_server(stage):
    service = stage.forked("stays", STAY)
    service = Service(**{**vars(service), "env": {"PYTHONPATH": str(stage.folder)}})

    process = stage.forks.fork(service)

    assert isinstance(process, subprocess.Popen)
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_fork_server_that_does_not_reply_is_ended_and_the_program_starts_alone(stage):
    server = stage.forks.start_server(stage.server())
    while not stage.forks.ready():
        assert server.poll() is None
    os.kill(server.pid, signal.SIGSTOP)
    stage.forks._socket.settimeout(0.2)  # noqa: SLF001 (it is ten seconds)
    service = stage.forked("stays", "import time; time.sleep(60)")
    service = Service(**{**vars(service), "env": {"PYTHONPATH": str(stage.folder)}})

    process = stage.forks.fork(service)
    os.kill(server.pid, signal.SIGCONT)

    assert isinstance(process, subprocess.Popen)
    server.wait(10)  # it raises where the server goes on
    for each in (process, server):
        each.kill()
        each.wait()
        each.stdout.close()
