"""The only way to an address that a client named: https, public addresses alone, bounded in bytes and time.

A name is resolved once, every answer must be public, and the connection goes to the very address that was checked, with
the name's own SNI and Host. Each redirect is checked again. Proxies of the environment are not used.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpcore

from shared.errors import AssetUnavailable, AssetUnreadable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_REDIRECTS = 3
POST_SECONDS = 15.0  # from the first byte sent to the status, however lively the receiver is meanwhile
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
IPV4_COMPATIBLE = ipaddress.ip_network("::/96")
IPV4_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")
# All that is handed out in IPv6. The standard library's registry knows some of what lies outside of it, not all.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Public by their ranges, and answered inside all the same: clouds' own services, the IETF's protocols, documents.
SPECIAL_NETWORKS = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "3fff::/20")))
# Names that the public DNS does not have, and networks of their own do (RFC 6761, 6762, 8375; ICANN keeps `internal` free).
PRIVATE_DOMAINS = {
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "home.arpa", "lan", "invalid",
}  # fmt: skip
# Why nothing was answered, the most telling first. What the operating system or the TLS library said is the cause.
_NETWORK_ERRORS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpcore.TimeoutException,), "{} did not answer in time."),
    ((ssl.SSLCertVerificationError,), "{} has a certificate that is not trusted."),
    ((ssl.SSLError,), "No encrypted connection to {} could be agreed on."),
    ((ConnectionRefusedError,), "{} refused the connection."),
    ((httpcore.ConnectError,), "{} could not be reached."),
    ((httpcore.ProtocolError,), "{} did not answer in HTTP."),
)
_BROKEN_MESSAGE = "The connection to {} broke before all of an answer came."
# By these words httpcore tells a connection that ended from one that told nonsense.
_CUT_OFF_PHRASES = ("disconnected", "closed connection")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How much may come, and how long it may take, in bytes and seconds."""

    bytes: int
    wall: float = 120.0
    connect: float = 5.0
    read: float = 20.0


def is_public(text: str) -> bool:
    """Tell whether an address belongs to the public internet, also the one that hides in an IPv6 address."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        hidden = _embedded_ipv4(address)
        if hidden is not None:
            return is_public(str(hidden))
        if address in LOCAL_NAT64 or address not in GLOBAL_UNICAST:
            return False
    if any(address in network for network in SPECIAL_NETWORKS):
        return False
    return address.is_global and not address.is_multicast


def may_be_public(host: str) -> bool:
    """Tell by its name alone whether a host can be one of the public internet, where it cannot be asked for."""
    labels = host.lower().rstrip(".").split(".")
    return (
        len(labels) > 1
        and labels[-1][:1].isalpha()
        and PRIVATE_DOMAINS.isdisjoint((labels[-1], ".".join(labels[-2:])))
    )


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that traffic to this one ends at, if there is one."""
    if any(address in network for network in (NAT64, IPV4_COMPATIBLE, IPV4_TRANSLATED)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection that ends with its wall: who sends a byte now and then is not waited for longer than the silent."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what there is."""
        return self._inner.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted, until the same moment."""
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise late
        return left if timeout is None else min(timeout, left)


class _GuardedBackend(httpcore.SyncBackend):
    """Connects to public addresses alone, unless the operator allows others, and until the deadline alone."""

    def __init__(self, what: str, deadline: float, *, allow_private: bool) -> None:
        super().__init__()
        self._what = what  # it is called in an error
        self._deadline = deadline
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve the name once and connect to what was checked."""
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise AssetUnreadable(f"{self._what} has a host that cannot be found.") from error
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise AssetUnreadable(f"{self._what} is not on the public internet.")
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
    """Write what the URL answers to `target`, or raise AssetUnreadable (for good) or Unavailable (for now)."""
    deadline = time.monotonic() + bounds.wall
    context = ssl.create_default_context(cafile=ca_file)
    backend = _GuardedBackend("An address of the script", deadline, allow_private=allow_private)
    try:
        with httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                onward = _get(pool, url, target, bounds, deadline, stop)
                if onward is None:
                    return
                url = onward
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise AssetUnavailable(_describe_network_error(error, "An address of the script")) from error
    raise AssetUnreadable("An address of the script redirects too often.")


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    allow_private: bool = False,
    ca_file: str | None = None,
    wall: float = POST_SECONDS,
) -> int:
    """Send a body and return the status, whatever it is; a redirect is not followed. Raise what `fetch` raises."""
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        raise AssetUnreadable("The address is not https.")
    timeout = {"connect": 5.0, "read": 10.0, "write": 10.0, "pool": 5.0}
    pool = httpcore.ConnectionPool(
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
            return response.status  # the answer's body is nothing to us
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unavailable(_describe_network_error(error, "The address")) from error


def _describe_network_error(error: Exception, what: str) -> str:
    """Say in words that stay the same why there was no answer, with nothing of what lies within."""
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


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Raise AssetUnreadable where a URL leads, by what its host resolves to now, to where we do not connect.

    A host that cannot be found now may be found when somebody connects, which looks at its addresses then.
    """
    host = urlsplit(url).hostname or ""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and (allow_private or may_be_public(host)):
            return
        raise AssetUnreadable("The host cannot be found.") from error
    if not allow_private and not all(is_public(str(answer[4][0])) for answer in answers):
        raise AssetUnreadable("The address is not on the public internet.")


def _get(
    pool: httpcore.ConnectionPool,
    url: str,
    target: IO[bytes],
    bounds: DownloadLimits,
    deadline: float,
    stop: Callable[[], bool] | None,
) -> str | None:
    """Follow one URL; return where it redirects to, or None when the body is written."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise AssetUnreadable("An address of the script leads to what is not https.")
    timeout = {"connect": bounds.connect, "read": bounds.read, "write": bounds.read, "pool": bounds.connect}
    headers = [(b"User-Agent", b"scenemill"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]
    with pool.stream("GET", url, headers=headers, extensions={"timeout": timeout}) as response:
        if response.status in (301, 302, 303, 307, 308):
            headers_in = {name.lower(): value for name, value in response.headers}
            location = headers_in.get(b"location", b"")
            return urljoin(url, location.decode("latin-1"))
        if response.status in TRANSIENT:
            raise AssetUnavailable("A file that the script names cannot be had for now.")
        if response.status != 200:
            raise AssetUnreadable(f"A file that the script names was answered with status {response.status}.")
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
            raise AssetUnreadable("A file that the script names is larger than an asset may be.")
        if time.monotonic() > deadline or (stop is not None and stop()):
            raise AssetUnavailable("A file that the script names could not be fetched in time.")
        target.write(chunk)
