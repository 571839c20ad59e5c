"""The steps that a call is made of.

A call is a generator that yields steps and receives their outcomes. It does no I/O itself: a driver performs the
steps, blocking or asynchronously, so that each call is written once for both clients.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from scenemill.core.bodies import Body
    from scenemill.core.retry import Retry

T = TypeVar("T")
IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE"))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to the API. It is repeated after a failure if that is safe.

    `idempotent` says that a repetition is safe for a method for which it is not safe in general. With `stream` the
    answer's body is left to `read`. One that is `anonymous` carries neither key nor token.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    idempotent: bool = False
    stream: bool = False
    attempts: int | None = None
    read_timeout: float | None = None
    anonymous: bool = False

    @property
    def repeatable(self) -> bool:
        """Tell whether the server does no more for two of it than for one."""
        return self.idempotent or self.method in IDEMPOTENT or "Idempotency-Key" in self.headers


@dataclass(frozen=True)
class Exchange:
    """One attempt at a request."""

    request: Request


@dataclass(frozen=True)
class Read:
    """The next bytes of a streamed answer; none at its end."""

    response: httpx.Response


@dataclass(frozen=True)
class Sleep:
    """A pause."""

    seconds: float


@dataclass(frozen=True)
class Blocking:
    """A function that may block, such as one that reads a file. The asynchronous client runs it in a thread."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Policy:
    """How the client deals with failures that pass."""


@dataclass(frozen=True)
class Item(Generic[T]):
    """A value for whoever iterates over the call."""

    value: T


Step: TypeAlias = Request | Exchange | Read | Sleep | Blocking | Policy
Flow: TypeAlias = Generator[Step, Any, T]
Items: TypeAlias = Generator[Step | Item[T], Any, None]


def ask(request: Request) -> Flow[httpx.Response]:
    """Send a request, with retries, and return its answer, or raise ApiError or Unreachable."""
    return cast("httpx.Response", (yield request))


def read(response: httpx.Response) -> Flow[bytes]:
    """Return the next bytes of a streamed answer, or none at its end, or raise httpx.TransportError."""
    return cast("bytes", (yield Read(response)))


def sleep(seconds: float) -> Flow[None]:
    """Pause."""
    yield Sleep(seconds)


def policy() -> Flow[Retry]:
    """Return how the client deals with failures that pass."""
    return cast("Retry", (yield Policy()))


def blocking(function: Callable[[], T]) -> Flow[T]:
    """Run a function that may block, and return what it returns."""
    return cast("T", (yield Blocking(function)))


@dataclass(frozen=True)
class Outcome:
    """What became of a step: a reply, or the error that it raised."""

    reply: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of a call, with its result."""

    value: T


def advance(flow: Generator[Any, Any, T], outcome: Outcome) -> Any:
    """Hand a step's outcome to its call, and return the call's next step, or Done."""
    try:
        return flow.throw(outcome.error) if outcome.error else flow.send(outcome.reply)
    except StopIteration as stop:
        return Done(stop.value)
