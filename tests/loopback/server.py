"""A real HTTP server on loopback: what it is told to do first, one request each, then what it is made for.

Behaviours are those of `tests.loopback.llm` (`status`, `html`, `hangs`, `drips`, `resets`, `huge` …).
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    Behaviour = Callable[["Handler", "Asked"], None]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that came."""
        return json.loads(self.content or b"{}")


class Loopback:
    """The server. A subclass answers well in `serve`."""

    scheme = "http"
    notes = Asked  # what a request is written down as

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        self._behaviours: deque[Behaviour] = deque()
        self._always: Behaviour | None = None
        self._server = _Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.scheme = "https"
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def root(self) -> str:
        """Where it listens."""
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        return f"{self.scheme}://{host}:{self._server.server_port}"

    def then(self, *behaviours: Behaviour) -> Self:
        """Behave so next, one request each."""
        self._behaviours.extend(behaviours)
        return self

    def always(self, behaviour: Behaviour | None) -> Self:
        """Behave so whenever nothing else is planned."""
        self._always = behaviour
        return self

    def asked(self, path: str) -> list[Asked]:
        """Return the requests to one path."""
        return [each for each in self.requests if each.path == path]

    def serve(self, handler: Handler, asked: Asked) -> None:
        """Answer well."""
        raise NotImplementedError

    def early(self, handler: Handler) -> bool:  # noqa: ARG002
        """See a request before its body is read; True: it is dealt with."""
        return False

    def behave(self, handler: Handler, asked: Asked) -> None:
        """Do what is planned, else what it is made for."""
        planned = self._behaviours.popleft() if self._behaviours else self._always
        (planned or self.serve)(handler, asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    owner: Loopback
    daemon_threads = True
    block_on_close = False  # a client may have left a hanging call behind
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    fault: str | None = None

    def do_GET(self) -> None:
        self._take()

    def do_HEAD(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def do_DELETE(self) -> None:
        self._take()

    def _take(self) -> None:
        if self.server.owner.early(self):
            return
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = self.server.owner.notes(
            self.command,
            address.path,
            dict(parse_qsl(address.query, keep_blank_values=True)),
            headers,
            content,
        )
        self.server.owner.requests.append(asked)
        self.server.owner.behave(self, asked)

    def answer(self, status: int, body: bytes, media_type: str = "application/json", **headers: str) -> None:
        """Answer at once."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def says(document: Any, status: int = 200) -> Behaviour:
    """Answer with JSON."""
    return lambda handler, _: handler.answer(status, json.dumps(document).encode())
