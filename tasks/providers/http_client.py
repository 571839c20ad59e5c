"""Calls to what lies outside and speaks HTTP, bounded in number, time and bytes: speech, stock and pictures.

Nobody below repeats a call: this module is the one owner of retries. What a server asks to be waited for longer than a
worker's slot sleeps is handed on as `retry_after`, for the job to wait in the queue.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from shared.errors import Unavailable
from shared.processes.ffmpeg import Stopped
from tasks.deadlines import DeadlineExceeded, call_with_deadline, sleep_unless_stopped
from tasks.providers.circuit_breaker import CircuitBreaker
from tasks.script.model_replies import is_out_of_credit, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_CALLS = 3  # calls for one answer
MAX_SLEEP_SECONDS = 10.0  # seconds that a worker's slot sleeps
OK = 200
_BACK_OFF = 0.5
_TRY_AGAIN = (408, 409, 425, 429)


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """Where a provider is, and how long one call to it may take, in seconds."""

    name: str  # as people know it; it stands in errors and in the log
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect: float = 5.0
    read: float = 60.0
    deadline: float = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """One call, below the provider's base URL. `most` is how many bytes of an answer are read."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    data: Mapping[str, str] | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = field(default=None, repr=False)
    max_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """What came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RequestRefused(Exception):
    """The provider refuses for good; `words` are the beginning of what it said, for us and never for a client."""

    def __init__(self, name: str, status: int, words: str) -> None:
        super().__init__(f"{name} refused the request ({status}).")
        self.status, self.body_start = status, words


class UnreadableResponse(Exception):
    """The answer is not what was asked for: HTML, cut off, or of another shape."""


class _TransientFailure(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Provider:
    """A server outside, and what this process has learnt of it."""

    def __init__(
        self,
        address: ProviderConfig,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = address
        self.breaker = CircuitBreaker(clock)
        self._sleep = sleep

    def call(self, request: Request, read: Callable[[Response], T], *, stop: Callable[[], bool]) -> T:
        """Return what `read` makes of the answer, after at most TRIES calls.

        `read` raises Garbled for what is no answer. Raise Refused where asking again would not help, Unavailable where
        it may later, and Stopped.
        """
        if closed := self.breaker.seconds_until_allowed():
            raise Unavailable(f"{self.config.name} failed too often just now.", closed)
        for tries in range(1, MAX_CALLS + 1):
            if stop():
                raise Stopped
            try:
                answer = self._once(request, read, stop)
            except _TransientFailure as error:
                self.breaker.record_failure()
                log.warning("provider_busy", extra={"provider": self.config.name, "reason": str(error)})
                if tries == MAX_CALLS or (error.wait or 0.0) > MAX_SLEEP_SECONDS or self.breaker.is_open:
                    raise _unavailable(error) from error
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
                wait = _BACK_OFF * 2**tries * jitter if error.wait is None else error.wait
                sleep_unless_stopped(wait, stop, self._sleep)
            else:
                self.breaker.record_success()
                return answer
        raise AssertionError

    def _once(self, request: Request, read: Callable[[Response], T], stop: Callable[[], bool]) -> T:
        name = self.config.name
        try:
            answer = call_with_deadline(self.config.deadline, stop, lambda: _send(self.config, request))
        except DeadlineExceeded as error:
            raise _TransientFailure(f"{name} took too long.") from error
        if answer.status == OK:
            try:
                return read(answer)
            except UnreadableResponse as error:
                raise _TransientFailure(f"{name} gave an answer that cannot be read.") from error
        words = answer.body[:2000].decode("utf-8", "replace")
        if answer.status == 429 and is_out_of_credit(answer.body):
            raise RequestRefused(name, answer.status, words)
        if answer.status in _TRY_AGAIN or answer.status >= 500:
            raise _TransientFailure(
                f"{name} answered {answer.status}.", parse_retry_after(answer.headers, datetime.now(UTC))
            )
        log.warning("provider_refused", extra={"provider": name, "status": answer.status})
        raise RequestRefused(name, answer.status, words)


def _send(address: ProviderConfig, request: Request) -> Response:
    """Make one call and read its answer, no more of it than is allowed. What is packed is not unpacked."""
    import httpx  # noqa: PLC0415 - a worker that only renders need not hold it

    until = time.monotonic() + address.deadline
    timeout = httpx.Timeout(address.read, connect=address.connect)
    headers = {"Accept-Encoding": "identity", "User-Agent": "scenemill", **address.headers}
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False, headers=headers) as client,
            client.stream(
                request.method,
                address.base_url.rstrip("/") + request.path,
                params=dict(request.params),
                json=request.json,
                data=request.data,
                files=request.files,
            ) as response,
        ):
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > request.max_bytes:
                    raise _TransientFailure(f"{address.name} gave a longer answer than we read.")
                if time.monotonic() > until:
                    raise _TransientFailure(f"{address.name} took too long.")
            return Response(response.status_code, response.headers, bytes(body))
    except httpx.HTTPError as error:
        raise _TransientFailure(f"{address.name} could not be reached, or broke off.") from error


def _unavailable(error: _TransientFailure) -> Unavailable:
    return Unavailable(str(error)) if error.wait is None else Unavailable(str(error), error.wait)
