"""A minute of chaos for every change: a few faults under a small load, and all that must hold afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos import faults, load

if TYPE_CHECKING:
    from tests.chaos.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(240)]


def test_accepted_jobs_end_once_although_processes_die(world: World) -> None:
    first = world.flood(6)
    faults.pool_child_killed(world)
    faults.redis_flushed(world)
    faults.ffmpeg_fails(world, "segv")
    faults.messages_doubled(world, first[0])
    canceled = world.post(load.slow(world.rng), hook=True)
    world.until(canceled, stage="rendering", seconds=60)

    assert world.cancel(canceled) == 202
    assert world.end(canceled) == "canceled"
