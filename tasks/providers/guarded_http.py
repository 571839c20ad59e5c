"""GET and POST to addresses that a client named: https, public addresses only, bounded in bytes and time.

A host is resolved once, every address must be public, and the connection goes to the very address that was checked, with
the host's own SNI and Host header. Each redirect is checked again. Proxies of the environment are ignored.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpcore2

from shared.errors import AssetUnavailable, AssetUnreadable, Unavailable
from shared.security.ssrf_guard import is_public
from tasks.providers.retry import is_retryable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_REDIRECTS = 3
POST_SECONDS = 15.0  # from the connection to the status, even where the receiver keeps sending bytes
# Why no answer came, by the error or its cause; the first match counts.
_NETWORK_ERRORS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpcore2.TimeoutException,), "{} did not answer in time."),
    ((ssl.SSLCertVerificationError,), "{} has a certificate that is not trusted."),
    ((ssl.SSLError,), "No encrypted connection to {} could be agreed on."),
    ((ConnectionRefusedError,), "{} refused the connection."),
    ((httpcore2.ConnectError,), "{} could not be reached."),
    ((httpcore2.ProtocolError,), "{} did not answer in HTTP."),
)
_BROKEN_MESSAGE = "The connection to {} broke before all of an answer came."
# httpcore2 raises one class both for a connection that ended and for one that sent no HTTP; its message tells which.
_CUT_OFF_PHRASES = ("disconnected", "closed connection")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """The limits of one download: bytes, and seconds overall, to connect and between two reads."""

    bytes: int
    wall: float = 120.0
    connect: float = 5.0
    read: float = 20.0


class _DeadlineStream(httpcore2.NetworkStream):
    """A connection with a deadline for all of its reads and writes together, so that a server that drips cannot outlast it."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived."""
        return self._inner.read(max_bytes, self._left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the whole buffer."""
        self._inner.write(buffer, self._left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Continue in TLS, with the same deadline."""
        left = self._left(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return facts about the connection."""
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None, late: type[httpcore2.TimeoutException]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise late
        return left if timeout is None else min(timeout, left)


class _GuardedBackend(httpcore2.SyncBackend):
    """Connects to public addresses only, unless the operator allows private ones, and only until the deadline."""

    def __init__(self, what: str, deadline: float, *, allow_private: bool) -> None:
        super().__init__()
        self._what = what  # what an error calls the address
        self._deadline = deadline
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Resolve the host once, check every address, and connect to the first."""
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise AssetUnreadable(
                f"The host of {self._what[0].lower()}{self._what[1:]} cannot be found: check its spelling."
            ) from error
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise AssetUnreadable(
                f"{self._what} resolves to a private address; only the public internet is allowed."
            )
        connection = super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)
        return _DeadlineStream(connection, self._deadline)


def fetch(
    url: str,
    target: IO[bytes],
    bounds: DownloadLimits,
    *,
    allow_private: bool = False,
    ca_file: str | None = None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Write what the URL returns to `target`; raise AssetUnreadable (for good) or Unavailable (for now)."""
    deadline = time.monotonic() + bounds.wall
    context = ssl.create_default_context(cafile=ca_file)
    backend = _GuardedBackend("An address of the script", deadline, allow_private=allow_private)
    try:
        with httpcore2.ConnectionPool(ssl_context=context, network_backend=backend) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                onward = _get(pool, url, target, bounds, deadline, stop)
                if onward is None:
                    return
                url = onward
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise AssetUnavailable(_describe_network_error(error, "An address of the script")) from error
    raise AssetUnreadable(
        f"An address of the script redirects more than {MAX_REDIRECTS} times. Use the address that it ends at."
    )


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    allow_private: bool = False,
    ca_file: str | None = None,
    wall: float = POST_SECONDS,
) -> int:
    """POST a body and return the status, whatever it is. Redirects are not followed. Raise what `fetch` raises."""
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        raise AssetUnreadable("The address is not https. Use an https URL without a user name.")
    timeout = {"connect": 5.0, "read": 10.0, "write": 10.0, "pool": 5.0}
    pool = httpcore2.ConnectionPool(
        ssl_context=ssl.create_default_context(cafile=ca_file),
        network_backend=_GuardedBackend("The address", time.monotonic() + wall, allow_private=allow_private),
    )
    try:
        with (
            pool,
            pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeout}
            ) as response,
        ):
            return response.status  # the response's body is never read: a receiver could make it endless
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise Unavailable(_describe_network_error(error, "The address")) from error


def _describe_network_error(error: Exception, what: str) -> str:
    """Return why there was no answer, in fixed words that reveal nothing of the network within."""
    inner = error.__cause__ or error.__context__
    known = (
        words for kinds, words in _NETWORK_ERRORS if isinstance(error, kinds) or isinstance(inner, kinds)
    )
    found = (
        _BROKEN_MESSAGE
        if any(words in str(error) for words in _CUT_OFF_PHRASES)
        else next(known, _BROKEN_MESSAGE)
    )
    return found.format(what if found.startswith("{") else what[0].lower() + what[1:])


def _get(
    pool: httpcore2.ConnectionPool,
    url: str,
    target: IO[bytes],
    bounds: DownloadLimits,
    deadline: float,
    stop: Callable[[], bool] | None,
) -> str | None:
    """GET one URL; return where it redirects to, or None when the body is written."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise AssetUnreadable(
            "An address of the script, or one that it redirects to, is not https. Use an https URL."
        )
    timeout = {"connect": bounds.connect, "read": bounds.read, "write": bounds.read, "pool": bounds.connect}
    headers = [(b"User-Agent", b"scenemill"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]
    with pool.stream("GET", url, headers=headers, extensions={"timeout": timeout}) as response:
        if response.status in (301, 302, 303, 307, 308):
            headers_in = {name.lower(): value for name, value in response.headers}
            location = headers_in.get(b"location", b"")
            return urljoin(url, location.decode("latin-1"))
        if is_retryable(response.status):
            raise AssetUnavailable(
                f"A file that the script names is unavailable for now: its server answered {response.status}."
            )
        if response.status != 200:
            raise AssetUnreadable(
                f"A file that the script names cannot be fetched: its server answered {response.status}."
            )
        _copy(response.iter_stream(), target, bounds, deadline, stop)
    return None


def _copy(
    chunks: Iterable[bytes],
    target: IO[bytes],
    bounds: DownloadLimits,
    deadline: float,
    stop: Callable[[], bool] | None,
) -> None:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > bounds.bytes:
            raise AssetUnreadable(
                f"A file that the script names is larger than an asset may be: {bounds.bytes:,} bytes."
            )
        if time.monotonic() > deadline or (stop is not None and stop()):
            raise AssetUnavailable(f"A file that the script names was not fetched within {bounds.wall:g} s.")
        target.write(chunk)
