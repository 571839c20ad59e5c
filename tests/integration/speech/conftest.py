"""A process of an installation, in which jobs speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.db import transaction
from tasks.cost_tracker import CostTracker
from tasks.providers import response_cache
from tasks.speech.speech_cache import Speaker
from tests import factories
from tests.loopback.speech import LoopbackSpeech

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shared.models import Job
    from shared.settings import Settings


@pytest.fixture
def server() -> Iterator[LoopbackSpeech]:
    with LoopbackSpeech() as server:
        yield server


@pytest.fixture
def job(process: Settings) -> Iterator[Job]:
    """Give a job of an account that no other test has."""
    response_cache.connection.cache_clear()
    yield new_job()
    response_cache.connection().close()
    response_cache.connection.cache_clear()


def new_job(**columns: object) -> Job:
    with transaction() as session:
        return factories.job(session, **{"attempt": 1, **columns})


@pytest.fixture
def speaker(job: Job, tmp_path: Path) -> Callable[..., Speaker]:
    """Give a speaker for the job, or for another one."""
    work = tmp_path / "attempt"
    work.mkdir()

    def make(other: Job | None = None, *, fresh: bool = False) -> Speaker:
        mine = other or job
        return Speaker(mine.account_id, CostTracker(mine), work, lambda: False, fresh)

    return make
