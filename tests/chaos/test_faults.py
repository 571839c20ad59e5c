"""Each fault by itself under a small load. The `world` asks all invariants after each, and that the fault did hit.

Not here: F14, which needs a stack with a model (`test_models`); F15, which needs one with a bucket (`test_bucket`); F24,
which needs the former release (`test_upgrade`); F25, which is `test_random`.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from api.jobs.admission import COUNT_TTL_SECONDS
from tests.chaos import faults, load
from tests.chaos.clock import wrong_by
from tests.chaos.full import full
from tests.chaos.receiver import answers, slowly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.chaos.world import World

pytestmark = [pytest.mark.chaos, pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(400)]

ALONE = [
    faults.worker_killed,
    faults.pool_child_killed,
    faults.api_killed_before_publishing,
    faults.api_killed_in_an_upload,
    faults.api_killed_in_a_piece,
    faults.redis_flushed,
    faults.redis_back_empty,
    faults.redis_stopped,
    faults.redis_half_open,
    faults.postgres_restarted,
    faults.postgres_stopped,
    faults.backends_terminated,
    faults.commit_answers_lost,
    faults.worker_stopped_past_its_lease,
    faults.sweeper_killed,
]


@pytest.mark.parametrize("fault", ALONE, ids=lambda fault: fault.__name__)
def test_all_invariants_hold_under_load(world: World, fault: Callable[[World], None]) -> None:
    tasks = world.flood(8)

    fault(world)

    assert world.ends(tasks, 120) == ["succeeded"] * 8


@pytest.mark.parametrize("how", ["segv", "exit1", "nothing", "short", "noise"])
def test_an_ffmpeg_that_fails_ends_its_job_and_no_other(world: World, how: str) -> None:
    world.settle()
    faults.ffmpeg_fails(world, how)
    victim = list(world.promised.accepted)[-1]

    others = world.flood(3)

    assert world.end(victim) == "failed"
    assert world.state(victim).error["code"] in ("render-failed", "render-timeout")
    assert "broken" not in str(world.state(victim).error)  # what ffmpeg said goes to the log alone
    assert world.ends(others, 90) == ["succeeded"] * 3


def test_a_stalled_ffmpeg_is_retried(world: World) -> None:
    world.settle()
    faults.ffmpeg_fails(world, "stop")
    victim = list(world.promised.accepted)[-1]

    assert world.end(victim, 60) == "succeeded"
    assert world.value("SELECT max(charged) FROM segments WHERE job_id = :id", id=victim) > 1


def test_an_ffmpeg_whose_child_holds_its_pipe_counts_as_ended(world: World) -> None:
    world.settle()
    faults.ffmpeg_fails(world, "hold")

    assert world.end(list(world.promised.accepted)[-1], 30) == "succeeded"


@pytest.mark.parametrize("folder", ["work", "storage"])
def test_a_job_waits_while_the_work_folder_is_full(world: World, folder: str) -> None:
    world.settle()

    def seen() -> int:
        return sum("is full" in line.get("reason", "") for line in world.log())

    before = seen()
    with full(world.stack.folder / folder):
        tasks = [world.post(load.video(world.rng), hook=True) for _ in range(2)]
        world.wait(lambda: seen() > before, "a full disk to be seen")
        world.hit(f"F9/F10 {folder} is full", "it was seen")

    assert world.ends(tasks) == ["succeeded"] * 2


def test_duplicate_messages_and_messages_of_no_job_change_nothing(world: World) -> None:
    task_id = world.post(load.video(world.rng), hook=True)

    faults.messages_doubled(world, task_id)

    assert world.end(task_id) == "succeeded"
    assert world.state(task_id).attempt == 1


def test_many_posts_of_one_key_at_once_make_one_job_though_the_api_dies(world: World) -> None:
    job, token = load.script(world.rng), {"Idempotency-Key": load.key()}

    def post(number: int) -> str:
        if number == 3:
            world.service("api").kill()

        def taken() -> str | None:
            answer = world.call("POST", "/v1/jobs", json=job, headers=token)
            return str(answer.json()["task_id"]) if answer.status_code == 202 else None

        return world.wait(taken, "the one answer", 60)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(post, range(8)))
    world.hit("F3 API killed among posts of one key", "it was killed while they came")

    assert len(set(told)) == 1
    world.promised.accepted[told[0]] = world.stack.facts["api_key"]
    assert world.ends(told) == ["succeeded"] * 8


STAGES: dict[str, dict[str, Any]] = {
    "queued": {"state": "queued"},
    "planned": {"state": "running", "stage": "rendering"},
    "assembling": {"state": "running", "stage": "assembling"},
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_cancel_at_any_stage_is_final_and_ends_its_ffmpeg(world: World, stage: str) -> None:
    world.settle()
    with contextlib.ExitStack() as held:
        if stage == "queued":
            held.enter_context(world.stopped("worker-renders"))
        if stage == "assembling":
            held.callback(world.wrapper.always, None)
            world.wrapper.always("drowsy")
        task_id = world.post(load.slow(world.rng), hook=True)
        world.until(task_id, 90, **STAGES[stage])
        running = [] if stage == "queued" else world.wait(world.ffmpegs, "its ffmpeg")
        began = time.monotonic()

        assert world.cancel(task_id) == 202
        world.hit(f"F19 cancel while {stage}", "it was taken")
        _, alive = psutil.wait_procs(running, timeout=2.7)

        assert alive == []
        assert world.end(task_id, 10) == "canceled"
        assert time.monotonic() - began < 10
    assert world.cancel(task_id) == 409


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_worker_that_shuts_down_loses_nothing(world: World, times: int) -> None:
    task_id = world.post(load.slow(world.rng), hook=True)

    faults.worker_told_to_end(world, times)

    assert world.end(task_id, 120) == "succeeded"
    if times == 1:
        most = "SELECT max(charged) FROM segments WHERE job_id = :id"
        assert world.value(most, id=task_id) == 1


def test_two_concurrent_sweeps_do_no_harm(world: World) -> None:
    with world.worker("control"):
        tasks = world.flood(6)
        faults.pool_child_killed(world)
        faults.redis_flushed(world)

        assert world.ends(tasks, 90) == ["succeeded"] * 6


def test_a_job_that_kills_every_worker_fails(world: World) -> None:
    world.settle()
    taken = world.wrapper.taken()
    world.wrapper.always("poison")
    try:
        task_id = world.post(load.video(world.rng, seconds=1), hook=True)
        assert world.end(task_id, 150) == "failed"
    finally:
        world.wrapper.always(None)
    world.hit("F22 poison", f"{world.wrapper.taken() - taken} workers died")

    assert world.wrapper.taken() - taken >= 2
    assert world.state(task_id).error["code"] == "worker-lost"


@pytest.mark.parametrize(
    "behaviour",
    [answers(500), answers(302, Location="/hook"), slowly(11), slowly(3)],
    ids=["500", "redirect", "timeout", "slow"],
)
def test_a_failing_receiver_delays_nobody_and_gets_every_webhook(world: World, behaviour: Any) -> None:
    world.settle()
    heard = len(world.receiver.requests)
    world.receiver.then(*[behaviour] * 4)
    began = time.monotonic()
    tasks = [world.post(load.script(world.rng), hook=True) for _ in range(4)]
    faults.pool_child_killed(world)  # its recovery does not wait for the receiver

    assert world.ends(tasks, 30) == ["succeeded"] * 4
    world.wait(lambda: len(world.receiver.requests) >= heard + 4, "the receiver to be asked", 30)
    world.hit("F23 receiver fails", "it was asked four times, and failed each time")
    assert time.monotonic() - began < 60


def test_an_account_with_many_jobs_does_not_delay_others(world: World) -> None:
    world.settle()
    hog, others = world.new_account("hog"), [world.new_account(f"small-{number}") for number in range(19)]
    jobs = [load.script(world.rng) for _ in range(400)]
    answer = world.batch(jobs, hog)
    assert answer.status_code == 202, answer.text
    small = [world.post(load.script(world.rng), key=key) for key in others]

    assert world.ends(small, 120) == ["succeeded"] * 19
    left = world.value("SELECT count(*) FROM jobs WHERE state = 'queued' AND batch_id IS NOT NULL")
    world.hit("F18 a hog", f"{left} of its 400 jobs still waited")
    assert left > 100
    world.settle(240)


def test_a_full_queue_accepts_no_job_over_its_cap_from_concurrent_requests(world: World) -> None:
    world.settle()
    cap = int(world.settings["SCENEMILL_MAX_QUEUED"])
    keys = [world.new_account(f"eager-{number}") for number in range(8)]

    def post(key: str) -> list[httpx.Response]:
        drawn = [load.script(world.rng) for _ in range(7)]
        return [world.batch(drawn, key) for _ in range(10)]

    with world.stopped("worker-scripts"), ThreadPoolExecutor(len(keys)) as pool:
        half = world.batch([load.script(world.rng) for _ in range(cap // 2 + 1)], keys[0])
        assert half.status_code == 202, half.text
        time.sleep(COUNT_TTL_SECONDS)  # as long as there was room by far, nobody counts for so long
        answers = [answer for each in pool.map(post, keys) for answer in each]
        depth = world.value("SELECT count(*) FROM jobs WHERE state = 'queued'")
    refused = [answer for answer in answers if answer.status_code == 503]
    world.hit(
        "F18 a full queue", f"{len(refused)} of {len(answers)} batches were refused, {depth} jobs waited"
    )

    assert len(refused) + sum(answer.status_code == 202 for answer in answers) == len(answers)
    assert "queue-full" in {answer.json()["code"] for answer in refused}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert cap - 7 < depth <= cap
    world.settle(240)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_s_wrong_clock_changes_nothing(world: World, hours: int, open_folder: Path) -> None:
    world.settle()
    sent = len(world.logged("webhook_sent"))
    with (
        world.stopped("worker-renders", "worker-scripts", "worker-control"),
        world.worker("renders,scripts,control", **wrong_by(hours * 3600, open_folder)),
    ):
        tasks = [*world.flood(4), world.post(load.slow(world.rng))]
        assert world.ends(tasks, 90) == ["succeeded"] * 5
        told = [line for line in world.logged("job_settled") if line["task_id"] in tasks]
        wrong = [
            round((datetime.fromisoformat(line["time"]) - world.now()) / timedelta(hours=1)) for line in told
        ]
        world.hit(f"F16 clock {hours:+} h", f"the worker that ended them was wrong by {wrong} h")
        assert wrong == [hours] * 5
        # By its own clock no lease would have run, or each would have run out at once.
        assert {world.state(task_id).attempt for task_id in tasks} == {1}
        most = "SELECT max(attempt) FROM segments WHERE job_id = :id"
        assert world.value(most, id=tasks[-1]) == 1
        world.wait(lambda: len(world.logged("webhook_sent")) >= sent + 4, "its webhooks", 30)
    for asked in world.receiver.requests[-4:]:
        assert abs(int(asked.headers["webhook-timestamp"]) - time.time()) < 60
