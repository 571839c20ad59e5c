"""A thousand watchers on one process of the real gateway, and some who do not read."""

from __future__ import annotations

import json
import resource
import selectors
import signal
import socket
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, text, update

from api.tasks import sse_stream
from api.tasks.sse_stream import EventStream
from api.tasks.task_changes import Topic
from shared.accounts import Identity
from shared.db import transaction
from shared.models import Job
from shared.states import Stage, State
from tests.integration.api.conftest import HELLO, new_client
from tests.integration.api.test_gunicorn import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from shared.settings import Settings

pytestmark = pytest.mark.services

WATCHERS, TASKS = 1000, 20
SECONDS = 60.0


@contextmanager
def open_files(number: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"This machine lets a process open {hard} files.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that are read together; each one's events are the versions and states that it was told."""

    def __init__(self, url: str, key: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._target, self._key = (host, int(port)), key
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self.told: list[list[tuple[int, str]]] = []
        self._rest: list[bytes] = []

    def join(self, task_id: str) -> None:
        one = socket.create_connection(self._target, timeout=30)
        one.sendall(
            f"GET /v1/tasks/{task_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n\r\n".encode()
        )
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, len(self._sockets))
        self._sockets.append(one)
        self.told.append([])
        self._rest.append(b"")

    def read_until(self, count: int) -> None:
        """Read until each was told of so many events."""
        until = time.monotonic() + SECONDS
        while any(len(one) < count for one in self.told):
            assert time.monotonic() < until, sum(len(one) < count for one in self.told)
            for key, _ in self._selector.select(0.2):
                self._read(key.data)

    def _read(self, at: int) -> None:
        *frames, self._rest[at] = (self._rest[at] + self._sockets[at].recv(65536)).split(b"\n\n")
        for frame in frames:
            line = next((one for one in frame.splitlines() if one.startswith(b"data: ")), None)
            if line:
                version = next(one for one in frame.splitlines() if one.startswith(b"id: "))
                self.told[at].append((int(version[4:]), json.loads(line[6:])["status"]))

    def close(self) -> None:
        for one in self._sockets:
            one.close()


def connections(url: str) -> int:
    """Count the server's connections to Postgres, without the one that asks."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
    return int(found or 0)


def move(ids: list[str], **values: Any) -> None:
    with transaction() as session:
        chosen = [uuid.UUID(each) for each in ids]
        session.execute(update(Job).where(Job.id.in_(chosen)).values({"version": Job.version + 1, **values}))


def test_a_thousand_streams_cost_little_and_get_all_events_in_order(
    app: Flask, config: Settings, tmp_path: Path
) -> None:
    environment = {
        "SCENEMILL_DATABASE_URL": config.database_url,
        "SCENEMILL_BROKER_URL": config.broker_url,
        "SCENEMILL_REDIS_URL": config.redis_url,
        "SCENEMILL_STORAGE_URL": str(tmp_path / "storage"),
        "SCENEMILL_RATE_LIMIT": "100000/minute",
        "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
    }
    key = new_client(app).key
    with (
        ExitStack() as files,
        open_files(WATCHERS + 500),
        running(tmp_path / "log", environment) as (process, url),
    ):
        http = files.enter_context(
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        )
        ids = [http.post("/v1/jobs", json=HELLO).json()["task_id"] for _ in range(TASKS)]
        (worker,) = psutil.Process(process.pid).children()
        before, used = worker.memory_info().rss, connections(config.database_url)
        crowd = files.enter_context(closing(Crowd(url, key)))
        for number in range(WATCHERS):
            crowd.join(ids[number % TASKS])  # all at once, as after a break
        crowd.read_until(1)
        move(ids, state=State.RUNNING, stage=Stage.NARRATING)
        crowd.read_until(2)
        grown = worker.memory_info().rss - before
        begun = time.monotonic()
        assert http.get("/v1/tasks").status_code == 200
        answered = time.monotonic() - begun
        held = connections(config.database_url) - used
        move(ids, state=State.SUCCEEDED)
        crowd.read_until(3)
        crowd.close()
        left = files.enter_context(closing(Crowd(url, key)))
        left.join(http.post("/v1/jobs", json=HELLO).json()["task_id"])
        left.read_until(1)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        process.wait(40)
        ending = time.monotonic() - begun

    states = {tuple(state for _, state in one) for one in crowd.told}
    assert states == {("queued", "running", "succeeded")}
    assert all(
        [version for version, _ in one] == sorted({version for version, _ in one}) for one in crowd.told
    )
    assert grown < 100 << 20, grown
    assert held <= config.database_pool_size
    assert answered < 5
    assert ending < 20  # who still watches is sent away, and not waited for


def test_a_stuck_reader_is_disconnected() -> None:
    ours, theirs = socket.socketpair()
    who = Identity(uuid.uuid4(), "key", frozenset())
    stream = EventStream(Topic("task", uuid.uuid4()), who, ours)
    next(stream)
    stream.tick()
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)  # it is not dropped at once

    stream._sending_since -= sse_stream.SEND_SECONDS + 1  # type: ignore[operator]  # noqa: SLF001 (so long ago)
    stream.tick()

    assert theirs.recv(1) == b""
    with pytest.raises(StopIteration):
        next(stream)
    ours.close()
    theirs.close()
