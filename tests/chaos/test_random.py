"""A seeded random schedule of all faults under load: `make chaos` runs it for ten minutes and prints what came of it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos import faults, invariants
from tests.chaos.calm import calm
from tests.chaos.report import all_taken_up, report, unexplained
from tests.chaos.world import LEASE, SWEEP, World

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.chaos, pytest.mark.e2e, pytest.mark.services]


@pytest.mark.timeout(3600)
def test_a_random_schedule_of_all_faults_breaks_nothing(
    seed: int, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = float(pytestconfig.getoption("--minutes", 10))
    with (
        tempfile.TemporaryDirectory(prefix="scenemill-chaos-") as folder,
        World(Path(folder).resolve(), seed) as world,
    ):
        world.flood(5)
        until = time.monotonic() + minutes * 60
        while time.monotonic() < until:
            world.ease()
            _strike(world, world.rng.choice(faults.RANDOM))
            world.flood(world.rng.randint(10, 40))
            if world.rng.random() < 0.3:
                world.cancel(world.rng.choice(list(world.promised.accepted)))
        if not report(world, {}).recoveries:  # a short schedule may draw none that is measured
            _strike(world, faults.pool_child_killed)
        world.settle(180)
        broken = invariants.violations(world)
        told, surprising = report(world, broken), unexplained(world)
    with capsys.disabled():
        print(f"\n{told}")  # noqa: T201 (these lines are what the run is for)
    assert not broken, told
    assert not surprising, (surprising, told)
    assert told.waste <= 0.05, told
    assert told.recoveries, told
    assert told.recovery(0.99) <= LEASE + SWEEP + 2, told


def _strike(world: World, fault: Callable[[World], None]) -> None:
    """Let a fault hit whatever the last one has left. Recovery is measured from one fault, under load and nothing else."""
    measured = fault in faults.LOSING
    if measured:
        calm(world)
        world.flood(world.rng.randint(10, 40))
    fault(world)
    world.wrapper.forget()
    if measured:
        at = world.hits[-1].at
        world.wait(lambda: all_taken_up(world, at), "lost work to be taken up again", 120, pause=0.5)
