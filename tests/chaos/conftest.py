"""One world for all faults of a session: each leaves it to recover by itself, and what is asked at its end is of all of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos import invariants
from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "scenemill-chaos-"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed", type=int, default=1, help="what the chaos suite draws its jobs and faults from"
    )
    parser.addoption(
        "--minutes", type=float, default=10, help="how long the random schedule of faults goes on"
    )


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--seed", 1))


@pytest.fixture(scope="session")
def _world(seed: int) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, World(Path(folder).resolve(), seed) as one:
        yield one


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """Give the world, and ask all invariants when the test is over."""
    hits = len(_world.hits)
    yield _world
    assert len(_world.hits) > hits, "the test did not say that its fault hit"
    invariants.assert_all(_world)
