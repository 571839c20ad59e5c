"""The supervisor with small programs of its own, real processes all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.integration.stack import programs
from tests.integration.stack.programs import STAY, runs
from workers.local.services import Service
from workers.local.supervisor import StartFailed

pytestmark = pytest.mark.services

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Stage(programs.Stage):
    """Builds services of code that is given."""

    def service(self, name, code, **facts):
        argv = (sys.executable, "-I", "-S", "-c", code)
        return Service(name=name, argv=argv, cwd=self.folder, env={"PATH": os.defpath}, **facts)

    def ready_file(self, name):
        """Return code that touches a file and stays, and the probe for it."""
        path = self.folder / f"{name}.ready"
        code = f"import pathlib, time; pathlib.Path({str(path)!r}).touch(); time.sleep(60)"
        return code, path.exists


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    yield made
    made.close()


def started_at(stage, name):
    return (stage.folder / f"{name}.ready").stat().st_mtime_ns


def test_a_program_starts_when_those_before_it_are_ready(stage):
    first, first_ready = stage.ready_file("first")
    second, second_ready = stage.ready_file("second")
    step = f"import pathlib; pathlib.Path({str(stage.folder / 'step.ready')!r}).touch()"

    stage.run(
        [
            stage.service("second", second, ready=second_ready, after=("step",)),
            stage.service("step", step, one_shot=True, after=("first",)),
            stage.service("first", first, ready=first_ready),
        ]
    )

    order = [started_at(stage, name) for name in ("first", "step", "second")]
    assert order == sorted(order)


def test_nothing_is_left_after_the_stop_not_even_children_of_children(stage):
    spawn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STAY!r}])"
    seen = []

    def look(supervisor):
        while len(supervisor.pids("parent")) < 2:
            time.sleep(0.02)
        seen.extend(supervisor.pids("parent"))
        return False

    stage.run([stage.service("parent", spawn, ready=lambda: True)], look)

    assert len(seen) >= 2
    assert [pid for pid in seen if runs(pid)] == []


def test_groups_stop_in_order_and_unresponsive_programs_are_killed_after_their_grace(stage):
    stopped = []

    def look(supervisor):
        stopped.extend(pid for name in ("deaf", "last") for pid in supervisor.pids(name))
        time.sleep(0.3)  # until the program has said that it does not listen
        return False

    began = time.monotonic()
    stage.run(
        [
            stage.service("last", STAY, ready=lambda: True, stop_order=2),
            stage.service("deaf", DEAF, ready=lambda: True, stop_order=1, grace=0.5),
        ],
        look,
    )
    took = time.monotonic() - began

    killed = [event["program"] for event in stage.events() if event["event"] == "program_killed"]
    assert killed == ["deaf"]
    assert [pid for pid in stopped if runs(pid)] == []
    assert took < 5


def test_a_second_signal_cuts_the_grace_short(stage):
    def look(_):
        time.sleep(0.3)  # until the program has said that it does not listen
        for _again in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return True

    began = time.monotonic()
    stage.run([stage.service("deaf", DEAF, ready=lambda: True, grace=30)], look)

    assert time.monotonic() - began < 10
    assert "program_killed" in [event["event"] for event in stage.events()]


def test_a_program_that_dies_is_started_again_and_the_log_says_so(stage):
    supervisor_of = {}

    def look(supervisor):
        supervisor_of["it"] = supervisor
        (pid,) = supervisor.pids("worker")
        supervisor_of["first"] = pid
        os.kill(pid, signal.SIGKILL)
        return True

    again = stage.folder / "again"
    code = (
        "import pathlib, time\n"
        f"path = pathlib.Path({str(again)!r})\n"
        "path.write_text(path.read_text() + 'x' if path.exists() else 'x')\n"
        "time.sleep(60)\n"
    )

    def twice():
        """Stop the supervisor once the program has started for the second time."""
        if again.exists() and again.read_text() == "xx":
            os.kill(os.getpid(), signal.SIGTERM)
        return True

    stage.run([stage.service("worker", code, ready=lambda: again.exists() and twice())], look)

    died = [event for event in stage.events() if event["event"] == "program_died"]
    assert len(died) == 1
    assert died[0]["program"] == "worker"
    assert died[0]["code"] == -signal.SIGKILL
    assert again.read_text() == "xx"


def test_a_program_that_ends_before_it_is_ready_fails_the_start_with_its_last_words(stage):
    bad = "import sys; sys.exit('the schema is from the future')"

    with pytest.raises(StartFailed, match="the schema is from the future"):
        stage.run(
            [
                stage.service("good", STAY, ready=lambda: True),
                stage.service("bad", bad, one_shot=True, after=("good",)),
            ]
        )


def test_a_program_that_is_never_ready_fails_the_start_in_time(stage):
    with pytest.raises(StartFailed, match="slow was not ready within 0 s"):
        stage.run([stage.service("slow", STAY, ready=lambda: False, start_seconds=0.2)])


def test_the_output_of_a_program_with_secrets_stays_out_of_the_log(stage):
    stage.run(
        [
            stage.service("open", "print('said')", one_shot=True),
            stage.service("shy", "print('sm_live_secret')", one_shot=True, hides_output=True),
        ]
    )

    said = [event["event"] for event in stage.events()]
    assert "said" in said
    assert "sm_live_secret" not in said


def test_programs_die_with_a_supervisor_that_is_killed(tmp_path):
    code = f"""
import os, pathlib, sys, time
from workers.local.output import StackLog
from workers.local.services import Service
from workers.local.supervisor import Supervisor
folder = pathlib.Path({str(tmp_path)!r})
argv = (sys.executable, "-I", "-S", "-c", {DEAF!r})
service = Service(name="one", argv=argv, cwd=folder, env={{}}, ready=lambda: True)
supervisor = Supervisor((service,), StackLog(folder / "logs", None), on_change=lambda: None)
supervisor.run(lambda: print(*supervisor.pids("one"), flush=True) or True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as supervisor:
        child = psutil.Process(int(supervisor.stdout.readline()))

        supervisor.kill()

        child.wait(timeout=5)
    assert not child.is_running()
