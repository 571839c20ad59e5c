"""Large files pass through the client without staying in its memory."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.unit.client.answers import artifact

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 48 << 20
BLOCK = bytes(64 << 10)
MOST = 12 << 20  # bytes that either side, both in this process, may hold


def digest_of_zeros(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


class Zeros(BaseHTTPRequestHandler):
    """Sends and takes zeros, and keeps none."""

    def do_GET(self) -> None:
        if self.path.startswith("/v1/assets"):
            self._answer(200, b'{"asset_id": "a1", "sha256": "%s"}' % digest_of_zeros(SIZE).encode())
            return
        self._answer(200, b"", **{"Content-Length": str(SIZE)})
        for _ in range(SIZE // len(BLOCK)):
            self.wfile.write(BLOCK)

    def do_HEAD(self) -> None:
        self._answer(200, b"", **{"Upload-Offset": "0"})

    def do_POST(self) -> None:
        self._drop()
        self._answer(201, b"", Location="/v1/uploads/u1")

    def do_PATCH(self) -> None:
        self._drop()
        self._answer(204, b"", Location="/v1/assets/a1")

    def _drop(self) -> None:
        left = int(self.headers["Content-Length"] or 0)
        while left > 0:
            left -= len(self.rfile.read(min(left, len(BLOCK))))

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def zeros() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Zeros) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_large_file_stays_out_of_memory(connect, zeros, tmp_path):
    made = artifact(b"", sha256=digest_of_zeros(SIZE))
    file = tmp_path / "video.mp4"

    with connect(zeros, "key") as api:
        tracemalloc.start()
        try:
            api.tasks.download(made, file)
            api.assets.upload(file)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert file.stat().st_size == SIZE
    assert peak < MOST
