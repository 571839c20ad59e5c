"""All parts are replaced one after the other while jobs go through: each ends well, and none is charged for it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil
import pytest

from tests.e2e.test_faults import SMALL, rows, slow_job

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(600)]

WORKERS = ("scripts", "renders", "control")
_numbers = itertools.count()


def job() -> dict[str, Any]:
    """Every fifth is a video of a second, with a picture that no other has; the others are scripts."""
    number = next(_numbers)
    if number % 5:
        return {"kind": "script", "brief": {"topic": f"Reef number {number}", "scenes": 2}}
    visual = {"type": "gradient", "colors": [f"#{number:06x}", "#1b6ca8"]}
    return {"kind": "video", "script": {"scenes": [{"duration": 1, "visual": visual}]}, "output": SMALL}


class Posting:
    """Posts a number of jobs, one after the other, while the block lasts. Every answer must be a 202."""

    def __init__(self, stack: Stack, number: int, pause: float) -> None:
        self._stack, self._number, self._pause = stack, number, pause
        self.tasks: list[str] = []
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._post)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _post(self) -> None:
        for _ in range(self._number):
            try:
                answer = self._stack.http.post("/v1/jobs", json=job())
                answer.raise_for_status()
                self.tasks.append(answer.json()["task_id"])
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            time.sleep(self._pause)


def replace(stack: Stack, queue: str) -> None:
    """Tell a worker to end, and return when another is there in its place."""
    former = stack.program(f"worker-{queue}")
    assert former is not None
    family = [former, *former.children(recursive=True)]
    former.terminate()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    deadline = time.monotonic() + 30
    while stack.program(f"worker-{queue}") is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_ready(stack: Stack) -> None:
    """Wait for what another test may have killed last."""
    deadline = time.monotonic() + 60
    while stack.http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def roll(stack: Stack, number: int, rounds: int, pause: float) -> None:
    """Have jobs go through while all workers, and the API's processes, are replaced."""
    wait_until_ready(stack)
    (master,) = (one.pid for one in stack.processes("gunicorn") if one.ppid() == stack.process.pid)  # type: ignore[union-attr]
    with Posting(stack, number, pause) as posting:
        for _ in range(rounds):
            os.kill(master, signal.SIGHUP)
            for queue in WORKERS:
                replace(stack, queue)

    assert posting.failures == []
    assert len(posting.tasks) == number
    all_end_well(stack, posting.tasks)


def all_end_well(stack: Stack, ids: list[str]) -> None:
    """See that all succeed, and that none was charged more than the attempt that did it."""
    assert {stack.end(task, 300)["status"] for task in ids} == {"succeeded"}
    charged = "SELECT count(*) FROM jobs WHERE id = ANY(CAST(:ids AS uuid[])) AND max_attempts - attempt <> 4"
    assert rows(stack, charged, ids=ids)[0][0] == 0
    parts = "SELECT coalesce(max(charged), 0) FROM segments WHERE job_id = ANY(CAST(:ids AS uuid[]))"
    assert rows(stack, parts, ids=ids)[0][0] <= 1


def test_a_rolling_restart_costs_no_attempt_and_refuses_no_request(faulty: Stack) -> None:
    roll(faulty, number=30, rounds=1, pause=0.2)


@pytest.mark.chaos
def test_rolling_restarts_under_load(faulty: Stack) -> None:
    roll(faulty, number=200, rounds=4, pause=0.1)


def wait_until_all_is_handed_back(stack: Stack) -> None:
    """Wait until no worker holds anything any more, which takes as long as the machine is busy."""
    held = (
        "SELECT (SELECT count(*) FROM jobs WHERE leased_until IS NOT NULL)"
        " + (SELECT count(*) FROM segments WHERE state = 'running')"
    )
    deadline = time.monotonic() + 60
    while rows(stack, held)[0][0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["once", "twice", "killed after its grace"])
def test_all_workers_get_the_stop_signal_at_once(faulty: Stack, how: str) -> None:
    stack = faulty
    wait_until_ready(stack)
    slow = stack.post(slow_job())["task_id"]
    stack.wait_for_process("segment.mp4")
    tasks = [slow, *(stack.post(job())["task_id"] for _ in range(10))]
    heads = [head for queue in WORKERS if (head := stack.program(f"worker-{queue}"))]
    assert len(heads) == len(WORKERS)
    workers = [one for head in heads for one in (head, *head.children(recursive=True))]

    for one in heads:
        one.terminate()
    if how == "twice":
        time.sleep(0.3)  # the fault itself: it is told while it still waits for what runs
        for one in heads:
            one.terminate()
    if how == "killed after its grace":
        wait_until_all_is_handed_back(stack)
        for one in workers:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    _, alive = psutil.wait_procs(workers, timeout=30)

    assert alive == []
    all_end_well(stack, tasks)
