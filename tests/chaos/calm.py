"""Waits until a world is over all that was done to it, so that what is measured next comes of one fault alone."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING

import httpx

from tests.chaos import load
from workers.local.services import STABLE_SECONDS

if TYPE_CHECKING:
    from tests.chaos.world import World

PROGRAMS = ("postgres", "redis", "api", "worker-scripts", "worker-renders", "worker-control")
_LAST_SWEEP = re.compile(r"^scenemill_last_sweep_timestamp_seconds\S* (\S+)$", re.MULTILINE)


def calm(world: World) -> None:
    """Wait until each program has lived for so long that it counts as well, the sweeper sweeps, and each kind of job ends."""
    for name in PROGRAMS:
        world.wait(partial(_is_well, world, name), f"{name} to last")
    before = _last_sweep(world)
    world.wait(lambda: _last_sweep(world) > before, "a sweep")
    for job in (load.video(world.rng), load.script(world.rng)):
        world.end(world.post(job), 120)


def _is_well(world: World, name: str) -> bool:
    return time.time() - world.service(name).create_time() > STABLE_SECONDS


def _last_sweep(world: World) -> float:
    answer = httpx.get(world.stack.facts["metrics"]["workers"]["control"])
    found = _LAST_SWEEP.search(answer.text)
    return float(found[1]) if found else 0.0
