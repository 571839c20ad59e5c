"""Uploads in pieces on the gateway as it is run: cut connections, killed processes, several of them, and memory."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from scenemill import ApiError, Unreachable
from tests import bridge
from tests.integration.api.conftest import new_client, picture
from tests.integration.api.test_gunicorn import running
from tests.integration.api.wire import Wire

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from scenemill.types import Asset
    from shared.settings import Settings

pytestmark = pytest.mark.services

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def content(size: int) -> bytes:
    """Return a picture with as much noise behind it: no byte of it is like one elsewhere."""
    return (head := picture()) + random.Random(size).randbytes(size - len(head))  # noqa: S311 (told from others)


@dataclass
class Gateways:
    """The gateways of one installation."""

    urls: list[str]
    processes: list[subprocess.Popen[bytes]]
    key: str
    folder: Path

    def client(self, number: int = 0) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}", **TUS}
        return httpx.Client(base_url=self.urls[number], headers=headers, timeout=30)

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.processes[0].pid).children()
        return worker

    def parts(self) -> list[Path]:
        return list((self.folder / "storage" / "uploads").glob("*"))

    def begin(self, size: int) -> str:
        with self.client() as http:
            return str(http.post("/v1/uploads", headers={"Upload-Length": str(size)}).headers["Location"])

    def send(self, path: str, offset: int, stated: int, data: bytes, number: int = 0) -> socket.socket:
        """Begin a PATCH of `stated` bytes, of which these come."""
        host, _, port = self.urls[number].removeprefix("http://").partition(":")
        connection = socket.create_connection((host, int(port)), timeout=20)
        head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\nUpload-Offset: {offset}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in PIECE.items())
        connection.sendall(f"{head}{lines}Content-Length: {stated}\r\n\r\n".encode() + data)
        return connection

    def offset(self, path: str, number: int = 0) -> int:
        with self.client(number) as http:
            return int(http.head(path).headers["Upload-Offset"])

    def until(self, path: str, offset: int, number: int = 0) -> int:
        """Return the offset once it is so large."""
        until = time.monotonic() + 15
        while (found := self.offset(path, number)) < offset and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def whole(self, path: str, data: bytes, offset: int, number: int = 0) -> httpx.Response:
        """Send the rest, and return the asset."""
        with self.client(number) as http:
            done = http.patch(path, headers={**PIECE, "Upload-Offset": str(offset)}, content=data[offset:])
            assert done.status_code == 204, done.text
            return http.get(done.headers["Location"])


@pytest.fixture(scope="module")
def gateways(
    app: Flask, config: Settings, api_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("gateways")
    environment = {
        "PATH": os.defpath,
        "SCENEMILL_DATABASE_URL": api_database,
        "SCENEMILL_BROKER_URL": redis_url,
        "SCENEMILL_REDIS_URL": redis_url,
        "SCENEMILL_STORAGE_URL": str(folder / "storage"),
        "SCENEMILL_RATE_LIMIT": "100000/minute",
        "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
    }
    with ExitStack() as stack:
        started = [stack.enter_context(running(folder / f"log{number}", environment)) for number in (0, 1)]
        processes, urls = zip(*started, strict=True)
        yield Gateways(list(urls), list(processes), new_client(app).key, folder)


def test_bytes_before_a_disconnect_count(gateways: Gateways) -> None:
    data = content(3_000_000)
    path = gateways.begin(len(data))

    with gateways.send(path, 0, len(data), data[:1_234_567]):
        pass
    offset = gateways.until(path, 1_234_567, 1)

    assert offset == 1_234_567
    assert gateways.whole(path, data, offset, 1).json()["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_second_writer_is_refused_at_once(gateways: Gateways) -> None:
    data = content(1_000_000)
    path = gateways.begin(len(data))

    with gateways.send(path, 0, len(data), data[:500_000]) as connection:
        time.sleep(0.3)
        for number in (0, 1):
            begun = time.monotonic()
            with gateways.client(number) as http:
                other = http.patch(path, headers={**PIECE, "Upload-Offset": "0"}, content=data)
            assert (other.status_code, other.headers["Content-Type"]) == (423, "application/problem+json")
            assert time.monotonic() - begun < 2
        connection.sendall(data[500_000:])
        assert connection.recv(12) == b"HTTP/1.1 204"

    with gateways.client(1) as http:
        location = http.head(path).headers["Location"]
        assert http.get(location).json()["sha256"] == hashlib.sha256(data).hexdigest()


def test_termination_ends_a_running_append(gateways: Gateways) -> None:
    path = gateways.begin(1_000_000)

    with gateways.send(path, 0, 1_000_000, content(500_000)) as connection, gateways.client(1) as http:
        time.sleep(0.3)
        assert http.delete(path).status_code == 204
        assert gateways.parts() == []
        connection.sendall(bytes(500_000))
        assert connection.recv(12) == b"HTTP/1.1 410"

    assert gateways.parts() == []


def test_a_large_append_takes_constant_memory(gateways: Gateways) -> None:
    size = 96 << 20
    path = gateways.begin(size)
    worker = gateways.worker()
    gateways.whole(gateways.begin(5000), content(5000), 0)
    before = peak = worker.memory_info().rss
    answers: list[httpx.Response] = []

    def send() -> None:
        def blocks() -> Iterator[bytes]:
            yield picture().ljust(1 << 20, b"\0")
            yield from (bytes(1 << 20) for _ in range((size >> 20) - 1))

        with gateways.client() as http:
            headers = {**PIECE, "Upload-Offset": "0", "Content-Length": str(size)}
            answers.append(http.patch(path, headers=headers, content=blocks()))

    sending = threading.Thread(target=send)
    sending.start()
    while sending.is_alive():
        peak = max(peak, worker.memory_info().rss)
        time.sleep(0.05)
    sending.join()

    assert answers[0].status_code == 204, answers[0].text
    assert peak - before < 24 << 20


@pytest.fixture
def wire(gateways: Gateways) -> Iterator[Wire]:
    address = urlsplit(gateways.urls[0])
    with Wire(address.hostname, address.port) as made:
        yield made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large.png"
    file.write_bytes(content(48 << 20))
    return file


def connect(wire: Wire, gateways: Gateways, kind: str = "blocking") -> Any:
    return bridge.connect(kind, f"http://127.0.0.1:{wire.port}", gateways.key)


def cut_within(wire: Wire, gateways: Gateways) -> None:
    """Cut the wire when some of an upload has come."""
    until = time.monotonic() + 30
    while not any(part.stat().st_size > 4 << 20 for part in gateways.parts()):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.002)
    wire.set("cut")


# httpx leaves generators, its own and those of a body, to the event loop, and trio says so.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("kind", bridge.CLIENTS)
def test_an_upload_resumes_after_a_disconnect(gateways: Gateways, wire: Wire, large: Path, kind: str) -> None:
    made: list[Asset] = []

    def upload() -> None:
        with connect(wire, gateways, kind) as api:
            made.append(api.assets.upload(large))

    uploading = threading.Thread(target=upload)
    uploading.start()
    cut_within(wire, gateways)
    time.sleep(0.3)
    wire.set("pass")
    uploading.join()

    assert made[0].sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert gateways.parts() == []


def test_another_run_resumes_where_the_first_ended(gateways: Gateways, wire: Wire, large: Path) -> None:
    os.utime(large, (1, 1))
    with connect(wire, gateways) as api:
        cutting = threading.Thread(target=cut_within, args=(wire, gateways))
        cutting.start()
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(Unreachable),
        ):
            patch.setattr("scenemill.core.uploads.PATIENCE", 0.0)
            api.assets.upload(large)
        cutting.join()
    (part,) = gateways.parts()
    wire.set("pass")

    with connect(wire, gateways) as api:
        asset = api.assets.upload(large)
        again = api.assets.upload(large)

    assert part.name not in {one.name for one in gateways.parts()}  # it was this one that went on
    assert again == asset
    assert asset.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()


def test_an_unsupported_type_is_refused_before_it_is_sent(
    gateways: Gateways, wire: Wire, tmp_path: Path
) -> None:
    file = tmp_path / "large.pdf"
    file.write_bytes(b"%PDF-1.7" + bytes(16 << 20))

    with connect(wire, gateways) as api, pytest.raises(ApiError) as caught:
        api.assets.upload(file)

    assert (caught.value.status, caught.value.code) == (415, "unsupported-media")


def test_only_synced_bytes_count_after_a_kill(gateways: Gateways) -> None:
    data = content(24_000_000)
    path = gateways.begin(len(data))

    with gateways.send(path, 0, len(data), data[:20_000_000]) as connection:
        counted = gateways.until(path, 1, 1)
        gateways.worker().send_signal(signal.SIGKILL)
        connection.settimeout(5)
        with pytest.raises((ConnectionError, TimeoutError)):
            assert connection.recv(100) or connection.sendall(data[20_000_000:])
    offset = gateways.offset(path, 1)
    (part,) = gateways.parts()

    assert 0 < counted <= offset <= 20_000_000
    assert part.read_bytes()[:offset] == data[:offset]
    assert gateways.whole(path, data, offset, 1).json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert gateways.parts() == []
