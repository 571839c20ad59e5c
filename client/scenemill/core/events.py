"""Server-Sent Events: reads a stream, and goes on after a broken connection where it broke off."""

from __future__ import annotations

import codecs
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import httpx

from scenemill.core.steps import Item, ask, policy, read, sleep
from scenemill.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenemill.core.steps import Items, Request

T = TypeVar("T")
SILENCE = (
    45.0  # seconds without a byte after which a connection counts as broken: the server sends one every 15 s
)
STEADY = 30.0  # seconds after which a connection has worked, also one that brought no event
NO_CONTENT = 204


@dataclass(frozen=True)
class Message:
    """One event as it was sent."""

    id: str
    event: str
    data: str


@dataclass
class Parser:
    """Turns bytes into events, however the network cut them."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _rest: str = ""
    _id: str = ""
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, block: bytes) -> Iterator[Message]:
        """Give the events that these bytes complete."""
        # A block may end between CR and LF: one that ends with CR waits for the next.
        text = self._rest + self._decoder.decode(block)
        lines = text.replace("\r\n", "\n").split("\n")
        self._rest = lines.pop()
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                yield Message(self._id, self._event or "message", "\n".join(self._data))
                self._event, self._data = "", []

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            self._id = value


def follow(request: Request, last_event_id: str | None, value: Callable[[Message], T]) -> Items[T]:
    """Give the events of a stream, each as a value, until the server says that it is over.

    After a break it comes again with `Last-Event-ID`. Raises Unreachable when nothing comes in several connections.
    """
    breaks, retry = 0, (yield from policy())
    while True:
        resumed = {"Last-Event-ID": last_event_id} if last_event_id else {}
        headers = {**request.headers, "Accept": "text/event-stream", **resumed}
        response = yield from ask(replace(request, headers=headers, stream=True, read_timeout=SILENCE))
        if response.status_code == NO_CONTENT:
            return
        parser, opened = Parser(), time.monotonic()
        try:
            while block := (yield from read(response)):
                for message in parser.feed(block):
                    last_event_id, breaks = message.id or last_event_id, 0
                    yield Item(value(message))
        except httpx.TransportError as error:
            if breaks >= retry.attempts:
                raise Unreachable(f"The stream of events broke off {breaks} times: {error}") from error
        breaks = 1 if time.monotonic() - opened > STEADY else breaks + 1
        yield from sleep(retry.pause(breaks))
