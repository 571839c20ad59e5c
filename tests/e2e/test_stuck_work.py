"""Work that spins, sleeps or holds the interpreter's lock fails with its scene's name, and its slot is free at once."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.e2e.conftest import PREFIX
from tests.e2e.stack import QUICK, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]

SMALL = {"resolution": "360p", "fps": 24, "quality": "draft"}
HEARTBEAT, DEADLINE = float(QUICK["SCENEMILL_HEARTBEAT_INTERVAL"]), 8.0
FREE = HEARTBEAT + 2.0
SLACK = 3.0  # seconds that a busy machine may take to answer


@pytest.fixture(scope="module")
def stuck() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        marks = Path(folder) / "spinning"
        marks.mkdir()
        settings = {
            **QUICK,
            "PYTHONPATH": str(Path(__file__).parent / "spinning"),
            "SPINNING_MARKS": str(marks),
            "SCENEMILL_DRAWING_DEADLINE": str(DEADLINE),
        }
        one = Stack(Path(folder), settings).start()
        yield one
        one.stop()


def job(text: str, title: str = "") -> dict[str, Any]:
    scenes = [
        {"id": "calm", "duration": 0.5, "text": [{"text": "A calm scene"}]},
        {"id": "late", "duration": 0.5, "text": [{"text": text}]},
    ]
    return {"kind": "video", "script": {"title": title, "scenes": scenes}, "output": SMALL}


def pool(stack: Stack, name: str) -> list[psutil.Process]:
    worker = stack.program(f"worker-{name}")
    assert worker is not None
    return worker.children()


def marked(stack: Stack) -> set[int]:
    """Return the processes that said that they would not come back."""
    return {int(path.name) for path in (stack.folder / "spinning").iterdir()}


def wait_for_all_to_end(stack: Stack, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in marked(stack)):
        assert time.monotonic() < deadline, "something spins on"
        time.sleep(0.05)


def next_stuck(stack: Stack, before: set[int]) -> psutil.Process:
    deadline = time.monotonic() + 30
    while not (new := marked(stack) - before):
        assert time.monotonic() < deadline, "nothing spins"
        time.sleep(0.02)
    return psutil.Process(new.pop())


@pytest.mark.parametrize("how", ["spin", "sleep"])
def test_a_scene_that_cannot_be_drawn_fails_its_job_and_frees_the_slot(stuck: Stack, how: str) -> None:
    before = {one.pid for one in pool(stuck, "renders")}
    task = stuck.end(stuck.post(job(f"{how} for ever"))["task_id"], seconds=40)

    assert task["status"] == "failed"
    assert task["error"]["code"] == "render-timeout"
    assert "'late'" in task["error"]["detail"]
    assert "8 s" in task["error"]["detail"]
    wait_for_all_to_end(stuck, FREE)
    for _ in range(2 * len(before)):  # each slot renders again
        stuck.run(job("The next one"))
    assert {one.pid for one in pool(stuck, "renders")} != before
    assert not list((stuck.folder / "work").glob("*/segment*"))


def test_a_cancel_ends_work_that_spins(stuck: Stack) -> None:
    before = marked(stuck)
    task_id = stuck.post(job("spin until canceled"))["task_id"]
    process = next_stuck(stuck, before)

    stuck.http.post(f"/v1/tasks/{task_id}/cancel")
    process.wait(FREE + SLACK)

    assert stuck.end(task_id, seconds=SLACK)["status"] == "canceled"
    stuck.run(job("The next one"))


def test_a_cancel_ends_planning_that_spins(stuck: Stack) -> None:
    before = marked(stuck)
    task_id = stuck.post(job("A text", title="spin until canceled"))["task_id"]
    process = next_stuck(stuck, before)

    stuck.http.post(f"/v1/tasks/{task_id}/cancel")
    process.wait(FREE + SLACK)

    assert stuck.end(task_id, seconds=SLACK)["status"] == "canceled"
    stuck.run(job("The next one"))


def test_work_that_holds_the_gil_is_ended_by_the_cpu_limit(stuck: Stack) -> None:
    task = stuck.end(stuck.post(job("hold the lock"))["task_id"], seconds=90)

    assert task["status"] == "failed"
    assert task["error"]["code"] == "worker-lost"
    assert "'late'" in task["error"]["detail"]
    wait_for_all_to_end(stuck, 60)  # another slot may have taken it when its lease ran out
    stuck.run(job("The next one"))
