"""Fetching what a client named: against a real HTTPS server on loopback, and never anywhere private unasked."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

from shared.errors import AssetUnreadable, ServiceError, Unavailable
from tasks.providers.guarded_http import DownloadLimits, fetch, post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services

BODY = b"x" * 1000


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: the body, a redirect to another path, a status, or nothing for a long time."""

    def do_GET(self) -> None:
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("location", rest if "://" in rest else f"/{rest}")
            self.end_headers()
        elif kind == "status":
            self.send_error(int(rest))
        elif kind == "hang":
            self.server.released.wait(10)  # type: ignore[attr-defined]
        elif kind == "dribble":
            self._dribble()
        elif kind == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

    do_POST = do_GET  # noqa: N815 (the name that the server looks for)

    def _dribble(self) -> None:
        """Begin a header that goes on for five seconds, never silent for long."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"a")
                self.wfile.flush()
                if self.server.released.wait(0.05):  # type: ignore[attr-defined]
                    return

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    pem = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(pem)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.released = threading.Event()  # type: ignore[attr-defined]
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{httpd.server_port}", pem
    httpd.released.set()  # type: ignore[attr-defined]
    httpd.shutdown()
    httpd.server_close()


@contextmanager
def fetched(server: tuple[str, Path], path: str, **bounds: float) -> Iterator[bytes]:
    target = io.BytesIO()
    limits = DownloadLimits(**{"bytes": 10_000, **bounds})  # type: ignore[arg-type]
    fetch(server[0] + path, target, limits, allow_private=True, ca_file=str(server[1]))
    yield target.getvalue()


@pytest.mark.parametrize("path", ["/file", "/to/file", "/to/to/to/file"])
def test_a_file_is_fetched_through_at_most_three_redirects(server: tuple[str, Path], path: str) -> None:
    with fetched(server, path) as body:
        assert body == BODY


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/to/to/to/to/file", AssetUnreadable, "more than 3 times"),
        ("/to/http://localhost/file", AssetUnreadable, "not https"),
        ("/to/file:///etc/passwd", AssetUnreadable, "not https"),
        ("/status/404", AssetUnreadable, "404"),
        ("/status/503", Unavailable, "for now"),
        ("/status/429", Unavailable, "for now"),
    ],
)
def test_a_failed_fetch_says_why(
    server: tuple[str, Path], path: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), fetched(server, path):
        pass


def test_a_body_over_the_limit_is_refused(server: tuple[str, Path]) -> None:
    with pytest.raises(AssetUnreadable, match="larger"), fetched(server, "/file", bytes=999):
        pass


def test_a_silent_server_is_abandoned(server: tuple[str, Path]) -> None:
    with pytest.raises(Unavailable), fetched(server, "/hang", read=0.1):
        pass


def test_a_server_with_endless_headers_is_abandoned(server: tuple[str, Path]) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable), fetched(server, "/dribble", wall=0.3):
        pass
    assert time.monotonic() - began < 3


def test_a_receiver_with_endless_headers_is_abandoned(server: tuple[str, Path]) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        post(server[0] + "/dribble", b"{}", {}, allow_private=True, ca_file=str(server[1]), wall=0.3)
    assert time.monotonic() - began < 3


def test_reasons_of_a_missing_answer_are_distinguished(server: tuple[str, Path]) -> None:
    def told(url: str, *, trusted: bool = True, wall: float = 5.0) -> str:
        authority = str(server[1]) if trusted else None
        with pytest.raises(ServiceError) as caught:
            post(url, b"{}", {}, allow_private=True, ca_file=authority, wall=wall)
        return caught.value.detail

    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"https://127.0.0.1:{closed.getsockname()[1]}/"

    assert told(server[0] + "/dribble", wall=0.3) == "The address did not answer in time."
    assert told(nobody) == "The address refused the connection."
    assert told(server[0], trusted=False) == "The address has a certificate that is not trusted."
    assert told(f"https://{'a' * 64}.example/") == (
        "The host of the address cannot be found: check its spelling."
    )


def test_a_receiver_without_tls_or_http_gets_a_clear_error() -> None:
    def answer(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SMTP is spoken here.\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        place = f"127.0.0.1:{listening.getsockname()[1]}/"
        for scheme, words in (("https", "No encrypted connection"), ("http", "did not answer in HTTP")):
            with pytest.raises(Unavailable, match=words):
                post(f"{scheme}://{place}", b"{}", {}, allow_private=True)
        thread.join(5)


def test_a_connection_that_ends_early_is_distinguished_from_one_without_http() -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        with pytest.raises(Unavailable, match="The connection to the address broke"):
            post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", {}, allow_private=True)
        thread.join(5)


def test_reasons_of_a_failed_download_are_distinguished(server: tuple[str, Path]) -> None:
    def told(url: str, *, trusted: bool = True) -> str:
        authority = str(server[1]) if trusted else None
        with pytest.raises(ServiceError) as caught:
            fetch(
                url, io.BytesIO(), DownloadLimits(bytes=10, read=0.1), allow_private=True, ca_file=authority
            )
        return caught.value.detail

    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"https://127.0.0.1:{closed.getsockname()[1]}/"

    assert told(nobody) == "An address of the script refused the connection."
    assert told(server[0] + "/hang") == "An address of the script did not answer in time."
    assert told(server[0], trusted=False) == "An address of the script has a certificate that is not trusted."
    assert (
        told(server[0] + "/half")
        == "The connection to an address of the script broke before all of an answer came."
    )


def test_a_private_address_is_not_connected_to(server: tuple[str, Path]) -> None:
    with pytest.raises(AssetUnreadable, match="public"):
        fetch(server[0] + "/file", io.BytesIO(), DownloadLimits(bytes=10), ca_file=str(server[1]))


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server: tuple[str, Path]) -> None:
    with pytest.raises(Unavailable):
        fetch(server[0] + "/file", io.BytesIO(), DownloadLimits(bytes=10), allow_private=True)
