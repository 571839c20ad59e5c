"""One HTTP service outside (speech, stock pictures, generated pictures): bounded calls, retries, a circuit breaker."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from shared.errors import Unavailable
from tasks.deadlines import DeadlineExceeded, call_with_deadline
from tasks.providers.bounded_http import Limits, Response, bounded_client
from tasks.providers.circuit_breaker import CircuitBreaker
from tasks.providers.retry import (
    TransientFailure,
    call_with_retries,
    is_out_of_credit,
    is_retryable,
    parse_retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

log = logging.getLogger(__name__)

OK = 200


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A provider's address, headers and timeouts in seconds."""

    name: str  # stands in errors and in the log
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect: float = 5.0
    read: float = 60.0
    deadline: float = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """One call, relative to the provider's base URL; at most `max_bytes` of the response are read."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    data: Mapping[str, str] | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = field(default=None, repr=False)
    max_bytes: int = 4 * 1024 * 1024


class RequestRefused(Exception):
    """The provider refused for good. `body_start` is the start of its response: for the log, never for a client."""

    def __init__(self, name: str, status: int, body_start: str) -> None:
        super().__init__(f"{name} refused the request ({status}).")
        self.status, self.body_start = status, body_start


class UnreadableResponse(Exception):
    """The response is not what was asked for: HTML, truncated, or of another shape."""


class Provider:
    """One provider, and the state of its circuit breaker in this process."""

    def __init__(
        self,
        config: ProviderConfig,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.breaker = CircuitBreaker(clock)
        self._sleep = sleep

    def call(self, request: Request, read: Callable[[Response], T], *, stop: Callable[[], bool]) -> T:
        """Return what `read` makes of the response, after retries where they may help.

        `read` raises UnreadableResponse for a response that it cannot use. Raise RequestRefused where a retry would not
        help, Unavailable where it may later, and Stopped.
        """
        if closed := self.breaker.seconds_until_allowed():
            raise Unavailable(f"{self.config.name} failed too often just now.", closed)
        try:
            return call_with_retries(
                lambda: self._call_once(request, read, stop), self.breaker, stop=stop, sleep=self._sleep
            )
        except TransientFailure as error:
            wait = () if error.retry_after is None else (error.retry_after,)
            raise Unavailable(str(error), *wait) from error

    def _call_once(self, request: Request, read: Callable[[Response], T], stop: Callable[[], bool]) -> T:
        try:
            return self._read(self._send(request, stop), read)
        except TransientFailure as error:
            log.warning("provider_busy", extra={"provider": self.config.name, "reason": str(error)})
            raise

    def _send(self, request: Request, stop: Callable[[], bool]) -> Response:
        # httpx's own timeouts start again with each byte: a server that drips would hold a worker's slot for ever.
        try:
            return call_with_deadline(self.config.deadline, stop, lambda: _send(self.config, request))
        except DeadlineExceeded as error:
            raise TransientFailure(f"{self.config.name} took too long.") from error

    def _read(self, response: Response, read: Callable[[Response], T]) -> T:
        name, status = self.config.name, response.status
        if status == OK:
            try:
                return read(response)
            except UnreadableResponse as error:
                raise TransientFailure(f"{name} gave an answer that cannot be read.") from error
        if is_retryable(status) and not is_out_of_credit(status, response.body):
            raise TransientFailure(
                f"{name} answered {status}.", parse_retry_after(response.headers, datetime.now(UTC))
            )
        log.warning("provider_refused", extra={"provider": name, "status": status})
        raise RequestRefused(name, status, response.body[:2000].decode("utf-8", "replace"))


def _send(config: ProviderConfig, request: Request) -> Response:
    limits = Limits(config.connect, config.read, config.deadline, request.max_bytes)
    try:
        with bounded_client(limits) as client:
            found = client.request(
                request.method,
                config.base_url.rstrip("/") + request.path,
                headers=dict(config.headers),
                params=dict(request.params),
                json=request.json,
                data=request.data,
                files=request.files,
            )
    except httpx2.HTTPError as error:
        raise TransientFailure(f"{config.name} could not be reached, or broke off.") from error
    return Response(found.status_code, found.headers, found.content)
