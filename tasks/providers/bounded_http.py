"""An HTTP client bounded in time and bytes, whatever the server does: drip, never end, or send a gzip bomb."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one call: seconds to connect, between two reads and overall; bytes of the response's body."""

    connect: float
    read: float
    deadline: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def bounded_client(limits: Limits) -> httpx2.Client:
    """Return a client for one call. It ignores proxies of the environment and follows no redirect.

    The connection is not reused: one that was idle may be closed by now, or belong to another process after a fork.
    """
    return httpx2.Client(
        transport=_BoundedTransport(limits),
        timeout=httpx2.Timeout(limits.read, connect=limits.connect),
        headers={"Accept-Encoding": "identity", "User-Agent": "scenemill"},
        trust_env=False,
    )


class _BoundedTransport(httpx2.BaseTransport):
    """Reads no more of a response than the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._transport = httpx2.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; the response's body raises when it passes a limit."""
        until = time.monotonic() + self._limits.deadline
        response = self._transport.handle_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            # A kilobyte of gzip may unpack to a gigabyte.
            response.close()
            raise httpx2.ReadError("The answer is compressed, which was not asked for.", request=request)
        body = _BoundedBody(response.stream, self._limits.max_bytes, until, request)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class _BoundedBody(httpx2.SyncByteStream):
    def __init__(self, stream: Any, max_bytes: int, until: float, request: httpx2.Request) -> None:
        self._stream, self._max_bytes, self._until, self._request = stream, max_bytes, until, request

    def __iter__(self) -> Iterator[bytes]:
        seen = 0
        for chunk in self._stream:
            seen += len(chunk)
            if seen > self._max_bytes:
                raise httpx2.ReadError(
                    f"The answer is longer than {self._max_bytes} bytes.", request=self._request
                )
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("The answer takes too long.", request=self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()
