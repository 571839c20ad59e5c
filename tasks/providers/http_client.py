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
from tasks.deadlines import TookTooLong, rest, within
from tasks.providers.circuit_breaker import Breaker
from tasks.script.model_replies import has_no_credit, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

log = logging.getLogger(__name__)

TRIES = 3  # calls for one answer
LONGEST_WAIT = 10.0  # seconds that a worker's slot sleeps
OK = 200
_BACK_OFF = 0.5
_TRY_AGAIN = (408, 409, 425, 429)


@dataclass(frozen=True, slots=True)
class Address:
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
    most: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """The provider refuses for good; `words` are the beginning of what it said, for us and never for a client."""

    def __init__(self, name: str, status: int, words: str) -> None:
        super().__init__(f"{name} refused the request ({status}).")
        self.status, self.words = status, words


class Garbled(Exception):
    """The answer is not what was asked for: HTML, cut off, or of another shape."""


class _Busy(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Provider:
    """A server outside, and what this process has learnt of it."""

    def __init__(
        self,
        address: Address,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.breaker = Breaker(clock)
        self._sleep = sleep

    def ask(self, request: Request, read: Callable[[Answer], T], *, stop: Callable[[], bool]) -> T:
        """Return what `read` makes of the answer, after at most TRIES calls.

        `read` raises Garbled for what is no answer. Raise Refused where asking again would not help, Unavailable where
        it may later, and Stopped.
        """
        if closed := self.breaker.wait():
            raise Unavailable(f"{self.address.name} failed too often just now.", closed)
        for tries in range(1, TRIES + 1):
            if stop():
                raise Stopped
            try:
                answer = self._once(request, read, stop)
            except _Busy as error:
                self.breaker.failed()
                log.warning("provider_busy", extra={"provider": self.address.name, "reason": str(error)})
                if tries == TRIES or (error.wait or 0.0) > LONGEST_WAIT or self.breaker.is_open:
                    raise _unavailable(error) from error
                jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
                wait = _BACK_OFF * 2**tries * jitter if error.wait is None else error.wait
                rest(wait, stop, self._sleep)
            else:
                self.breaker.succeeded()
                return answer
        raise AssertionError

    def _once(self, request: Request, read: Callable[[Answer], T], stop: Callable[[], bool]) -> T:
        name = self.address.name
        try:
            answer = within(self.address.deadline, stop, lambda: _send(self.address, request))
        except TookTooLong as error:
            raise _Busy(f"{name} took too long.") from error
        if answer.status == OK:
            try:
                return read(answer)
            except Garbled as error:
                raise _Busy(f"{name} gave an answer that cannot be read.") from error
        words = answer.body[:2000].decode("utf-8", "replace")
        if answer.status == 429 and has_no_credit(answer.body):
            raise Refused(name, answer.status, words)
        if answer.status in _TRY_AGAIN or answer.status >= 500:
            raise _Busy(f"{name} answered {answer.status}.", retry_after(answer.headers, datetime.now(UTC)))
        log.warning("provider_refused", extra={"provider": name, "status": answer.status})
        raise Refused(name, answer.status, words)


def _send(address: Address, request: Request) -> Answer:
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
                if len(body) > request.most:
                    raise _Busy(f"{address.name} gave a longer answer than we read.")
                if time.monotonic() > until:
                    raise _Busy(f"{address.name} took too long.")
            return Answer(response.status_code, response.headers, bytes(body))
    except httpx.HTTPError as error:
        raise _Busy(f"{address.name} could not be reached, or broke off.") from error


def _unavailable(error: _Busy) -> Unavailable:
    return Unavailable(str(error)) if error.wait is None else Unavailable(str(error), error.wait)
