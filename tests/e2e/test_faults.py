"""What an operator fears: workers killed, the whole stack killed, Redis or Postgres away. Nothing accepted is lost."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import create_engine, text

from shared import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]

OUTPUT = {"resolution": "1080p", "fps": 30}
SMALL = {"resolution": "360p", "fps": 24, "quality": "draft"}


_numbers = itertools.count()


def slow_job() -> dict[str, Any]:
    """A job whose picture takes seconds to render, in one segment that no other job has."""
    visual = {"type": "gradient", "colors": [f"#{next(_numbers):06x}", "#1b6ca8", "#aaddff"]}
    return {"kind": "video", "script": {"scenes": [{"duration": 18, "visual": visual}]}, "output": OUTPUT}


def rows(stack: Stack, query: str, **values: object) -> list[Any]:
    engine = create_engine(stack.facts["database_url"])
    with engine.connect() as connection:
        found = list(connection.execute(text(query), values))
    engine.dispose()
    return found


def assert_ended_once(stack: Stack, task_id: str) -> None:
    names = [row[0] for row in rows(stack, "SELECT name FROM artifacts WHERE job_id = :id", id=task_id)]
    assert len(names) == len(set(names)) > 0
    files = list((stack.folder / "storage" / "artifacts").rglob(f"*{task_id}*/*/video.mp4"))
    assert len(files) == 1


@contextlib.contextmanager
def no_other_started(stack: Stack) -> Iterator[None]:
    """Hold the supervisor still: else another program may be there before anybody has missed the one that ended."""
    assert stack.process is not None
    stack.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        stack.process.send_signal(signal.SIGCONT)


def wait_for_the_end_of(process: psutil.Process) -> None:
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:  # whoever would bury it is held still
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_job_survives_the_kill_of_its_render_worker(faulty: Stack) -> None:
    stack = faulty
    task = stack.post(slow_job())
    (ffmpeg, *_) = stack.wait_for_process("segment.mp4")
    (worker,) = stack.facts["pids"]["workers"]["renders"][:1]

    for process in [*psutil.Process(worker).children(recursive=True), psutil.Process(worker)]:
        with contextlib.suppress(psutil.Error):  # what has ended meanwhile needs no kill
            if "-progress" not in " ".join(process.cmdline()):
                process.kill()
    _, alive = psutil.wait_procs([ffmpeg], timeout=3)

    assert alive == []
    ended = stack.end(task["task_id"], 120)
    assert ended["status"] == "succeeded"
    (attempts,) = rows(stack, "SELECT max(attempt) FROM segments WHERE job_id = :id", id=task["task_id"])
    assert attempts[0] > 1  # the fault did hit
    assert_ended_once(stack, task["task_id"])


def test_the_whole_stack_killed_and_started_again_ends_the_job(faulty: Stack) -> None:
    stack = faulty
    task = stack.post(slow_job())
    stack.wait_for_process("segment.mp4")
    family = psutil.Process(stack.process.pid).children(recursive=True) if stack.process else []

    stack.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    stack.start()

    assert alive == []
    assert stack.end(task["task_id"], 120)["status"] == "succeeded"
    assert_ended_once(stack, task["task_id"])


def test_a_worker_that_shuts_down_requeues_its_work_uncharged(faulty: Stack) -> None:
    stack = faulty
    task = stack.post(slow_job())
    stack.wait_for_process("segment.mp4")
    worker = psutil.Process(stack.facts["pids"]["workers"]["renders"][0])
    pool = worker.children(recursive=True)

    worker.terminate()
    _, alive = psutil.wait_procs([worker, *pool], timeout=15)

    assert alive == []
    assert stack.end(task["task_id"], 120)["status"] == "succeeded"
    query = "SELECT max(attempt) AS attempt, max(charged) AS charged FROM segments WHERE job_id = :id"
    (most,) = rows(stack, query, id=task["task_id"])
    assert most.attempt > most.charged == 1


def test_a_job_that_crashed_two_processes_fails_until_an_operator_requeues_it(
    faulty: Stack,
) -> None:
    stack = faulty
    task = stack.post(slow_job())
    for _ in range(2):
        ffmpeg = stack.wait_for_process("segment.mp4")[0]
        parent = ffmpeg.parent()
        assert parent is not None
        parent.kill()
        psutil.wait_procs([ffmpeg], timeout=5)

    ended = stack.end(task["task_id"], 60)

    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "worker-lost"
    (job,) = rows(stack, "SELECT deaths, attempt, max_attempts FROM jobs WHERE id = :id", id=task["task_id"])
    assert (job.deaths, job.attempt) == (2, 1)  # and there were attempts left
    lost = {one["task_id"]: one for one in stack.http.get("/v1/admin/queues").json()["quarantined"]}
    assert lost[task["task_id"]]["error"]["detail"] == "2 workers died over scene 'scene-1'."
    log = Path(stack.facts["log"]).read_text().splitlines()
    assert any("job_quarantined" in line and task["task_id"] in line for line in log)

    answer = stack.http.post(f"/v1/admin/jobs/{task['task_id']}/requeue")

    assert answer.status_code == 204
    assert stack.end(task["task_id"], 120)["status"] == "succeeded"
    assert_ended_once(stack, task["task_id"])
    lost = stack.http.get("/v1/admin/queues").json()["quarantined"]
    assert task["task_id"] not in {one["task_id"] for one in lost}


def test_a_job_posted_while_redis_is_down_runs_when_it_is_back(faulty: Stack) -> None:
    stack = faulty
    (redis,) = stack.facts["pids"]["redis"]
    os.kill(redis, signal.SIGSTOP)

    began = time.monotonic()
    task = stack.post({"kind": "video", "script": {"scenes": [{"duration": 1}]}, "output": SMALL})
    took = time.monotonic() - began
    os.kill(redis, signal.SIGCONT)

    assert took < 2
    assert stack.end(task["task_id"])["status"] == "succeeded"


def test_a_flushed_redis_loses_no_job(faulty: Stack) -> None:
    stack = faulty
    script = {"scenes": [{"duration": 1}, {"duration": 2}]}
    ids = [stack.post({"kind": "video", "script": script, "output": SMALL})["task_id"] for _ in range(5)]
    with redis_client.connect(stack.facts["redis_url"]) as connection:
        connection.flushall()

    assert [stack.end(one)["status"] for one in ids] == ["succeeded"] * 5


def test_without_postgres_the_answer_is_503_and_says_when_to_come_back(faulty: Stack) -> None:
    stack = faulty
    (postgres,) = stack.facts["pids"]["postgres"][:1]
    job = {"kind": "video", "script": {"scenes": [{"duration": 1}]}, "output": SMALL}
    with no_other_started(stack):
        os.kill(postgres, signal.SIGQUIT)
        wait_for_the_end_of(psutil.Process(postgres))

        answer = stack.http.post("/v1/jobs", json=job)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert "psycopg2" not in answer.text
