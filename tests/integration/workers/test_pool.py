"""A pool of real processes, one of which dies."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import Celery
from kombu.asynchronous import Hub, set_event_loop

from shared.celery_config import celery_settings
from shared.settings import Settings
from workers.pool import TaskPool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.services


def _dies_slowly() -> None:
    """End as a process does on a busy machine: its files are closed, and only then it can be waited for."""
    os.closerange(3, 4096)
    time.sleep(0.3)
    os._exit(9)


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    set_event_loop(made)
    yield made
    made.close()
    set_event_loop(None)


def test_the_death_of_a_process_is_noticed_at_once_though_its_pipe_closes_earlier(hub: Hub) -> None:
    with Celery(set_as_current=False) as app:
        pool = TaskPool(1, app=app, threads=False, initargs=(app, "here"))
        pool.start()
        pool.register_with_event_loop(hub)
        seen: list[Any] = []
        began = time.monotonic()
        pool.apply_async(_dies_slowly, error_callback=seen.append, correlation_id="1")
        while not seen and time.monotonic() < began + 8:
            hub.run_once()
        pool.terminate()

    assert seen[0].type is WorkerLostError
    assert time.monotonic() - began < 3


def test_every_worker_has_it() -> None:
    config = Settings(
        database_url="postgresql://", broker_url="redis://", redis_url="redis://", storage_url="/nowhere"
    )

    assert celery_settings(config)["worker_pool"] == f"{TaskPool.__module__}:{TaskPool.__name__}"
