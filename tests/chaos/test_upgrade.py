"""F24: workers of the former release and of this one, on one schema: ours, which the former one has never seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import faults, load, past

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.world import World

pytestmark = [pytest.mark.chaos, pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]

ALL = "renders,scripts,control"
OURS = ("worker-renders", "worker-scripts", "worker-control")


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return past.unpack(tmp_path_factory.mktemp("former"))


def said(world: World) -> list[dict[str, Any]]:
    """Return the lines of the workers beside the stack's own."""
    log = world.stack.folder / "logs" / "scenemill.log.extra"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


def did(world: World, since: int) -> int:
    """Return how many jobs and segments they ended, after so many lines."""
    return sum(line.get("event") in ("job_settled", "segment_rendered") for line in said(world)[since:])


def settled_by_old(world: World, task_id: str) -> bool:
    """Tell whether it was a worker beside the stack's own that ended a job."""
    ends = [line for line in said(world) if line.get("event") == "job_settled"]
    return task_id in {line["task_id"] for line in ends}


def long_one(world: World) -> str:
    """Post a job whose three segments take seconds each to render, and return its id."""
    return world.post(load.video(world.rng, scenes=3, seconds=10, resolution="720p", fps=30), hook=True)


def test_old_and_new_workers_do_the_work_of_one_queue(world: World, former: Mapping[str, str]) -> None:
    since = len(said(world))
    with world.worker(ALL, **former):
        tasks = [*world.flood(12), *(world.post(load.video(world.rng, scenes=3)) for _ in range(4))]

        assert world.ends(tasks, 120) == ["succeeded"] * 16
        by_old, in_all = did(world, since), len(tasks)
    world.hit("F24 old and new together", f"{by_old} ends of the old one among {in_all} jobs")
    assert by_old > 0


def test_old_workers_alone_do_what_the_new_api_accepts(world: World, former: Mapping[str, str]) -> None:
    world.settle()
    since = len(said(world))
    with world.worker(ALL, **former), world.stopped(*OURS):
        tasks = world.flood(6)

        assert world.ends(tasks, 120) == ["succeeded"] * 6
        assert did(world, since) >= 6
    world.hit("F24 old alone", f"{did(world, since)} ends")


def test_new_workers_finish_jobs_that_old_ones_began(world: World, former: Mapping[str, str]) -> None:
    world.settle()
    with world.worker(ALL, **former), world.stopped(*OURS):
        begun = long_one(world)
        world.until(begun, 90, state="running", stage="rendering")
        # The old one is told to end, as in an upgrade, while it renders.
    world.hit("F24 handed over to new ones", f"it was {world.state(begun).stage} when the old one had ended")

    assert world.end(begun, 120) == "succeeded"
    assert not settled_by_old(world, begun)


def test_old_workers_finish_jobs_that_new_ones_began(world: World, former: Mapping[str, str]) -> None:
    world.settle()
    with world.worker(ALL, **former):
        begun = long_one(world)
        world.wait(world.renderers, "an ffmpeg of a new worker", 90)
        faults.caught(world)  # the new worker that waits for it cannot end this segment
        with world.stopped(*OURS):
            assert world.end(begun, 120) == "succeeded"
        world.hit("F24 handed over to the old one", "a new one stood still over it")
    assert settled_by_old(world, begun)
