"""A server on loopback that answers what a test lays out for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from scenemill import Retry
from tests import bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = Retry(attempts=3, first_pause=0.0)


@dataclass(frozen=True)
class Broken:
    """An answer whose connection breaks off after its content."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Scripted(ThreadingHTTPServer):
    """Answers requests with prepared answers, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str], bytes] | Broken] = []
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        body = b"".join(self._chunks()) if "Transfer-Encoding" in self.headers else self._rest()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(
            {"method": self.command, "path": self.path, "headers": headers, "body": body}
        )
        answer = self.server.answers.pop(0)
        if broken := isinstance(answer, Broken):
            status, more, content = answer.status, answer.headers, answer.content
        else:
            status, more, content = answer
        self.close_connection = broken
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content) + 1000 * broken))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _rest(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_DELETE = _answer  # noqa: N815 (what http.server calls)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    made = Scripted()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(params=bridge.CLIENTS)
def connect(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Give what connects each of the two clients: both must do the same."""

    def connect(*args: Any, **kwargs: Any) -> Any:
        return bridge.connect(request.param, *args, **{"retry": QUICK, **kwargs})

    return connect
