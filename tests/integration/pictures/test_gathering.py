"""What a script names by an address, where nobody answers there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from shared.errors import AssetUnavailable, AssetUnreadable
from shared.script.values import Scene, Script, Visual
from tasks.cost_tracker import CostTracker
from tasks.pictures.generation import ImageGenerator
from tasks.pictures.stock_search import StockSearch
from tasks.video.plan.sources import gather_sources
from tasks.video.plan.visuals import VisualResolver
from tests.integration.pictures.conftest import GRADIENT, new_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Job
    from tasks.video.plan.visuals import ResolvedVisuals

pytestmark = pytest.mark.services


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give the address of a port that refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"https://127.0.0.1:{bound.getsockname()[1]}/reef.png"


def shown(job: Job, url: str, fallback: Visual | None) -> ResolvedVisuals:
    scenes = (Scene("reef", visual=Visual("image", src=url, fallback=fallback)),)
    found = gather_sources(job, Script(scenes=scenes), stop=lambda: False)
    search = StockSearch(job.account_id, (640, 360), [], (), lambda: False, False)
    return VisualResolver(
        job, found, search, ImageGenerator(job, CostTracker(job), [], lambda: False, False)
    ).resolve(scenes)


@pytest.mark.usefixtures("process")
def test_a_picture_is_waited_for_while_attempts_are_left(nobody: str) -> None:
    with pytest.raises(AssetUnavailable):
        shown(new_job(attempt=2, max_attempts=3), nobody, GRADIENT)


@pytest.mark.usefixtures("process")
def test_the_last_attempt_shows_the_fallback(nobody: str) -> None:
    assert shown(new_job(attempt=3, max_attempts=3), nobody, GRADIENT).scenes[0].visual == GRADIENT


@pytest.mark.usefixtures("process")
def test_the_last_attempt_fails_naming_the_scene_without_a_fallback(nobody: str) -> None:
    with pytest.raises(AssetUnreadable, match="'reef'"):
        shown(new_job(attempt=3, max_attempts=3), nobody, None)
