"""The gateway is replaced while it is used: by HUP in place, and by TERM behind a balancer. Nobody is refused or cut off."""

from __future__ import annotations

import json
import selectors
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

import httpx
import psutil
import pytest

from tests.integration.api.conftest import HELLO, new_client, picture
from tests.integration.api.test_gunicorn import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from shared.settings import Settings

pytestmark = pytest.mark.services

SECONDS = 60.0


@pytest.fixture
def environment(config: Settings, tmp_path: Path) -> dict[str, str]:
    return {
        "SCENEMILL_DATABASE_URL": config.database_url,
        "SCENEMILL_BROKER_URL": config.broker_url,
        "SCENEMILL_REDIS_URL": config.redis_url,
        "SCENEMILL_STORAGE_URL": str(tmp_path / "storage"),
        "SCENEMILL_RATE_LIMIT": "100000/minute",
        "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
    }


class Users:
    """Clients that use the gateway all the time: short requests on kept connections, a long poll, a stream, an upload."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._over = threading.Event()
        uses = (self._ask, self._ask, self._post, self._poll, self._watch, self._upload)
        self._threads = [threading.Thread(target=self._use, args=(use,)) for use in uses]

    def __enter__(self) -> Self:
        with self._client() as http:
            self._task = http.post("/v1/jobs", json=HELLO).json()["task_id"]
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join(SECONDS)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait while the clients go on."""
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert not self.failures, self.failures
            assert time.monotonic() < deadline, self.answers
            time.sleep(0.05)

    def all_served(self) -> None:
        """Wait until each use was answered once more."""
        before = Counter(self.answers)
        uses = ("ask", "post", "poll", "upload", "watch")
        self.until(lambda: all(self.answers[use] > before[use] for use in uses))

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, headers={"Authorization": f"Bearer {self._key}"}, timeout=30)

    def _use(self, use: Callable[[httpx.Client], None]) -> None:
        name = use.__name__.removeprefix("_")
        with self._client() as http:
            while not self._over.is_set():
                try:
                    use(http)
                    self.answers[name] += 1
                except (httpx.HTTPError, AssertionError, ValueError) as error:
                    self.failures.append(f"{name}: {error!r}")

    def _ask(self, http: httpx.Client) -> None:
        assert http.get(f"/v1/tasks/{self._task}").status_code == 200

    def _post(self, http: httpx.Client) -> None:
        assert http.post("/v1/jobs", json=HELLO).status_code == 202

    def _poll(self, http: httpx.Client) -> None:
        answer = http.get(f"/v1/tasks/{self._task}", params={"wait": 2})
        assert answer.status_code == 200
        assert answer.json()["status"] == "queued"

    def _watch(self, http: httpx.Client) -> None:
        """Watch for some seconds, or until the stream ends, which it does when its process does."""
        with (
            suppress(httpx.ReadTimeout),
            http.stream("GET", f"/v1/tasks/{self._task}/events", timeout=3) as answer,
        ):
            assert answer.status_code == 200
            states = [
                json.loads(line[6:])["status"] for line in answer.iter_lines() if line.startswith("data: ")
            ]
            assert states == ["queued"]
            self.answers["ended"] += 1

    def _upload(self, http: httpx.Client) -> None:
        """Send a file for as long as a second takes."""

        def pieces() -> object:
            whole = picture()
            step = max(1, len(whole) // 10)
            for start in range(0, len(whole), step):
                yield whole[start : start + step]
                time.sleep(0.1)

        assert http.post("/v1/assets", content=pieces()).status_code == 201  # type: ignore[arg-type]


class Balancer:
    """Passes connections on to whichever gateway takes them, by turns, as bytes."""

    def __init__(self) -> None:
        self.behind: list[tuple[str, int]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, url: str) -> None:
        """Pass on to this one as well."""
        host, _, port = url.removeprefix("http://").partition(":")
        self.behind.append((host, int(port)))

    def close(self) -> None:
        """Take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, self._connect() as server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            with suppress(OSError):
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)

    def _connect(self) -> socket.socket:
        for place in (*self.behind, *self.behind):
            with suppress(OSError):
                connection = socket.create_connection(place, timeout=5)
                connection.settimeout(None)
                self.behind.append(self.behind.pop(0))
                return connection
            self.behind.append(self.behind.pop(0))
        raise ConnectionError("nobody is there")


def test_a_reload_refuses_no_request(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    key = new_client(app).key
    with running(tmp_path / "log", environment) as (process, url), Users(url, key) as users:
        users.all_served()
        old = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGHUP)
        users.until(lambda: not any(one.is_running() for one in old))
        users.all_served()

    assert users.failures == []
    assert users.answers["ended"] >= 1  # its stream was ended by the one that went
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_rolling_replacement_refuses_no_request(
    app: Flask, environment: dict[str, str], tmp_path: Path
) -> None:
    key = new_client(app).key
    with ExitStack() as stack:
        balancer = Balancer()
        stack.callback(balancer.close)
        gateways = []
        for name in ("one", "other"):
            process, url = stack.enter_context(running(tmp_path / name, environment))
            balancer.add(url)
            gateways.append(process)
        with Users(balancer.url, key) as users:
            users.all_served()
            gateways[0].send_signal(signal.SIGTERM)
            users.until(lambda: gateways[0].poll() is not None)
            users.all_served()
            _, url = stack.enter_context(running(tmp_path / "new", environment))
            balancer.add(url)
            gateways[1].send_signal(signal.SIGTERM)
            users.until(lambda: gateways[1].poll() is not None)
            users.all_served()

    assert users.failures == []
    assert [one.returncode for one in gateways] == [0, 0]
