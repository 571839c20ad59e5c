"""A server on loopback that answers what a test lays out for it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests import bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Scripted(ThreadingHTTPServer):
    """Answers requests with prepared answers, in order; `None` breaks the connection off in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(
            {"method": self.command, "path": self.path, "headers": headers, "body": body}
        )
        answer = self.server.answers.pop(0)
        if answer is None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
            return
        status, more, content = answer
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

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
        return bridge.connect(request.param, *args, **kwargs)

    return connect
