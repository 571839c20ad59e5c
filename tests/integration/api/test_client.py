"""Both clients on the gateway as it is run, over a connection that is cut."""

from __future__ import annotations

import hashlib
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from scenemill import Retry
from tests import bridge
from tests.integration.api.conftest import HELLO, new_client, picture
from tests.integration.api.test_batch import end
from tests.integration.api.test_gunicorn import running
from tests.integration.api.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from shared.settings import Settings

pytestmark = pytest.mark.services

PATIENT = Retry(attempts=20, first_pause=0.1, longest_pause=0.5)


@pytest.fixture(scope="module")
def gateway(
    app: Flask, config: Settings, api_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gateway")
    environment = {
        "SCENEMILL_DATABASE_URL": api_database,
        "SCENEMILL_BROKER_URL": redis_url,
        "SCENEMILL_REDIS_URL": redis_url,
        "SCENEMILL_STORAGE_URL": str(folder / "storage"),
        "SCENEMILL_RATE_LIMIT": "100000/minute",
        "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
    }
    with running(folder / "log", environment) as (_, url):
        yield url


@pytest.fixture
def wire(gateway: str) -> Iterator[Wire]:
    address = urlsplit(gateway)
    assert address.hostname
    assert address.port
    with Wire(address.hostname, address.port) as made:
        yield made


@pytest.fixture(params=bridge.CLIENTS)
def api(request: pytest.FixtureRequest, app: Flask, wire: Wire) -> Iterator[Any]:
    url = f"http://127.0.0.1:{wire.port}"
    with ExitStack() as stack:
        yield stack.enter_context(bridge.connect(request.param, url, new_client(app).key, retry=PATIENT))


def restore_soon(wire: Wire) -> None:
    timer = threading.Timer(0.5, wire.set, ["pass"])
    timer.start()


def test_events_during_a_disconnect_are_delivered_afterwards(api: Any, wire: Wire) -> None:
    task = api.jobs.submit(HELLO)
    batch = api.batches.submit([HELLO, HELLO])
    events = api.tasks.events(task)
    whole = api.batches.events(batch)
    assert (next(events).data.status, next(whole).data.counts["queued"]) == ("queued", 2)

    wire.set("cut")
    end(task.id, well=True)
    for one in batch.task_ids:
        end(one, well=False)
    restore_soon(wire)

    assert [(event.name, event.data.status) for event in events] == [("status", "succeeded")]
    assert [event.data.counts["failed"] for event in whole] == [2]


def test_waiting_survives_a_disconnect(api: Any, wire: Wire) -> None:
    task = api.jobs.submit(HELLO)
    seen = []

    def change(changed: Any) -> None:
        seen.append(changed.status)
        if not changed.finished:
            wire.set("cut")
            end(task.id, well=True)
            restore_soon(wire)

    assert api.tasks.wait(task, timeout=30, on_change=change).status == "succeeded"
    assert seen == ["queued", "succeeded"]


def test_a_download_resumes_after_a_disconnect(api: Any, wire: Wire, tmp_path: Path) -> None:
    content = picture() + bytes(40 << 20)
    asset = api.assets.upload(content)
    cut = threading.Event()

    def cut_within() -> None:
        while not cut.is_set():
            if any(part.stat().st_size > 4 << 20 for part in tmp_path.glob(".*.part")):
                wire.set("cut")
                restore_soon(wire)
                cut.set()

    cutting = threading.Thread(target=cut_within)
    cutting.start()
    try:
        path = api.assets.download(asset, tmp_path / "picture.png")
    finally:
        was_cut = cut.is_set()
        cut.set()
        cutting.join()

    assert was_cut
    assert hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256
    assert [one.name for one in tmp_path.iterdir()] == ["picture.png"]
