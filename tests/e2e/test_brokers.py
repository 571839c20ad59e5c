"""The brokers that one can have instead of a single Redis: jobs go through, and go on when a worker or the broker dies."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.brokers import rabbitmq, sentinel
from tests.e2e.stack import QUICK, Stack
from tests.e2e.test_faults import SMALL, assert_ended_once, rows, slow_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]

PREFIX = "scenemill-"
REPUBLISH = 40  # far longer than a loss takes to be noticed
SETTINGS = {**QUICK, "SCENEMILL_SHUTDOWN_GRACE": "1", "SCENEMILL_REPUBLISH_AFTER": str(REPUBLISH)}
SHORT = {"kind": "video", "script": {"scenes": [{"duration": 1}]}, "output": SMALL}
SPOKEN = {"kind": "video", "script": {"scenes": [{"narration": "Hello, world."}]}, "output": SMALL}


@dataclass(frozen=True)
class Brokered:
    """A stack on a broker of its own. `die` kills the broker; what it returns brings it back, `lose` without its data."""

    stack: Stack
    die: Callable[[], Callable[[], None]]
    lose: Callable[[], None] | None = None


@pytest.fixture(scope="module", params=["rabbitmq", "sentinel"])
def brokered(request: pytest.FixtureRequest) -> Iterator[Brokered]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        yield from {"rabbitmq": _on_rabbitmq, "sentinel": _on_sentinel}[request.param](Path(name))


def _on_rabbitmq(folder: Path) -> Iterator[Brokered]:
    with (
        rabbitmq.running(folder / "broker") as one,
        _stack(folder, {"SCENEMILL_BROKER_URL": one.url}) as stack,
    ):

        def die() -> Callable[[], None]:
            one.node.kill()
            return one.node.start

        def lose() -> None:
            one.node.kill()
            shutil.rmtree(one.folder / "data")
            (one.folder / "data").mkdir()
            one.node.start()

        yield Brokered(stack, die, lose)


def _on_sentinel(folder: Path) -> Iterator[Brokered]:
    with sentinel.running(folder / "broker") as group, _stack(folder, group.settings()) as stack:

        def die() -> Callable[[], None]:
            former = group.kill_master()
            return group.servers[former].start

        yield Brokered(stack, die)


@contextlib.contextmanager
def _stack(folder: Path, settings: dict[str, str]) -> Iterator[Stack]:
    one = Stack(folder / "stack", {**SETTINGS, **settings}).start()
    try:
        yield one
    finally:
        one.stop()


def test_jobs_succeed_although_the_broker_dies(brokered: Brokered) -> None:
    stack = brokered.stack
    stack.run(SPOKEN)
    running = stack.post(slow_job())["task_id"]
    stack.wait_for_process("segment.mp4")

    bring_back = brokered.die()
    began = time.monotonic()
    waiting = stack.post(SHORT)["task_id"]
    took = time.monotonic() - began
    bring_back()

    assert took < 2
    assert [stack.end(one, 120)["status"] for one in (running, waiting)] == ["succeeded"] * 2
    (most,) = rows(stack, "SELECT max(attempt) AS attempt FROM jobs")
    assert most.attempt == 1  # a broker that is away costs no attempt
    assert stack.http.get("/readyz").status_code == 200


@pytest.mark.brokers
def test_a_job_survives_the_kill_of_its_worker(brokered: Brokered) -> None:
    stack = brokered.stack
    task = stack.post(slow_job())["task_id"]
    stack.wait_for_process("segment.mp4")
    (worker,) = stack.facts["pids"]["workers"]["renders"][:1]

    for process in [*psutil.Process(worker).children(recursive=True), psutil.Process(worker)]:
        with contextlib.suppress(psutil.Error):  # what has ended meanwhile needs no kill
            process.kill()

    assert stack.end(task, 120)["status"] == "succeeded"
    (attempts,) = rows(stack, "SELECT max(attempt) FROM segments WHERE job_id = :id", id=task)
    assert attempts[0] > 1  # the fault did hit
    assert_ended_once(stack, task)


@pytest.mark.brokers
def test_messages_that_the_broker_has_lost_are_published_again_at_once(brokered: Brokered) -> None:
    if brokered.lose is None:
        pytest.skip("a replica has what the master had, but for its last moments")
    stack = brokered.stack
    head = stack.program("worker-renders")
    assert head is not None
    held = [head, *head.children(recursive=True)]
    for one in held:
        one.send_signal(signal.SIGSTOP)
    tasks = [stack.post(SHORT | {"custom_id": str(number)})["task_id"] for number in range(3)]
    deadline = time.monotonic() + 20
    while rows(stack, "SELECT 1 FROM jobs WHERE state = 'queued' AND published_at IS NULL"):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    brokered.lose()
    began = time.monotonic()
    for one in held:
        one.send_signal(signal.SIGCONT)

    assert [stack.end(one, REPUBLISH)["status"] for one in tasks] == ["succeeded"] * 3
    assert time.monotonic() - began < REPUBLISH / 2
