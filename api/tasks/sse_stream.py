"""Server-Sent Events: what changes is told as it changes, to watchers that cost little and hold nobody up.

A watcher has a box for what it was not sent yet, of which only the latest about each task is kept. One that does not read
is dropped: its box may overflow, or its connection may stand still, and neither for long.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from flask import Response, request

from api.auth import caller
from api.openapi import nothing
from api.tasks.change_poller import is_ending, watch
from shared.errors import TooManyAtOnce, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from api.tasks.task_changes import Event, Topic
    from shared.accounts import Identity

T = TypeVar("T")
MEDIA_TYPE = "text/event-stream"
PING_SECONDS = 15.0  # between two signs of life
STUCK_SECONDS = 20.0  # that one piece of news may take to be sent
RETRY_MILLISECONDS = 2000  # after which a browser comes again
BOX = 1000  # tasks that an account's watcher may be behind
PER_ACCOUNT, IN_ALL = 1000, 3000  # watchers of one process
BUFFER = 32 * 1024  # bytes of a connection that the kernel keeps for a reader
_NOTHING: Iterator[Event] = iter(())
_open: Counter[UUID] = Counter()
_lock = threading.Lock()


def respond(
    topic: Topic, first: Iterable[Event], *, told: str | None, past: Iterator[Event] = _NOTHING
) -> Response:
    """Answer with a stream that begins with these events, but for the one whose id the client was told before.

    What is `past` is told before them, and made only as fast as it is read. Who was told the last event of all is answered
    204: an `EventSource` comes again after each end of a stream, and nothing else keeps it from doing so for ever.
    """
    first = list(first)
    if any(event.last and event.id == told for event in first):
        return nothing()
    who = caller()
    owner = who.account_id
    with _lock:
        if _open[owner] >= PER_ACCOUNT:
            raise TooManyAtOnce(f"This account has {PER_ACCOUNT} streams of events open.")
        if _open.total() >= IN_ALL:
            raise Unavailable("Too many streams of events are open here. Try again shortly.")
        _open[owner] += 1
    stream = Stream(topic, who, _connection(), past)
    stream.begin(first, told=told)
    response = Response(stream, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def last_event_id() -> str | None:
    """Return which event the client got last, or None."""
    return request.headers.get("Last-Event-ID", "")[:64] or None


def _connection() -> socket.socket | None:
    """Return the request's connection, prepared: the kernel keeps little for it, and gives a dead one up."""
    found: socket.socket | None = request.environ.get("gunicorn.socket")
    if found is not None:
        with contextlib.suppress(OSError):  # not every kind of socket has all of these
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * STUCK_SECONDS))
    return found


def _break(connection: socket.socket) -> None:
    """Have whoever waits to send there see that the other side has gone, as gunicorn expects it to happen."""
    # By another name of the same connection: gevent would tell the sender that its own file was closed.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


class Stream:
    """One watcher: an iterator of what is to be sent, and where news are put."""

    documented: ClassVar[bool] = True

    def __init__(
        self,
        topic: Topic,
        who: Identity,
        connection: socket.socket | None,
        past: Iterator[Event] = _NOTHING,
    ) -> None:
        self.topic = topic
        self._past = past
        self.caller: Identity | None = who
        self._owner: UUID | None = who.account_id
        self._connection = connection
        self._known: dict[UUID, int] = {}  # by task, as it was put into the box
        self._status: dict[UUID, str] = {}  # by task, as it was sent
        self._box: OrderedDict[UUID, Event] = OrderedDict()
        self._filled = threading.Event()
        self._lock = threading.Lock()
        self._over = self._greeted = False
        self._sending_since: float | None = None

    def begin(self, first: Iterable[Event], *, told: str | None) -> None:
        """Take the first events, and be brought news from now on."""
        for event in first:
            if event.id != told:
                self.tell(event)
                continue
            self._known[event.about], self._status[event.about] = event.version, event.status
        watch.add(self)

    def knows(self, task_id: UUID, version: int) -> bool:
        """Tell whether this is no news."""
        return self._known.get(task_id) == version

    def tell(self, event: Event | None) -> None:
        """Take a piece of news, or the end of all news. It never waits."""
        with self._lock:
            if event is None or (len(self._box) >= BOX and event.about not in self._box):
                self._over = True
            elif not self._is_old(event):
                _remember(self._known, event.about, event.version)
                self._box[event.about] = event
                self._box.move_to_end(event.about)
            self._filled.set()

    def tick(self) -> None:
        """Drop who does not read, and everyone when this process ends."""
        since = self._sending_since
        if since is not None and time.monotonic() - since > STUCK_SECONDS and self._connection is not None:
            self.tell(None)
            _break(self._connection)
        if is_ending():
            self.tell(None)

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for what is to be sent next; a comment where nothing happens for long."""
        self._sending_since = None
        data = self._next()
        self._sending_since = time.monotonic()
        return data

    def close(self) -> None:
        """Watch no more. The server calls it, however the request ends."""
        watch.remove(self)
        with _lock:
            if self._owner is not None:
                _open.subtract([self._owner])
                if not _open[self._owner]:
                    del _open[self._owner]
                self._owner = None

    def _next(self) -> bytes:
        if not self._greeted:
            self._greeted = True
            return b"retry: %d\n\n" % RETRY_MILLISECONDS
        if (older := self._older()) is not None:
            return self._frame(older)
        while True:
            with self._lock:
                if self._box:
                    return self._frame(self._box.popitem(last=False)[1])
                if self._over:
                    raise StopIteration
                self._filled.clear()
            if not self._filled.wait(PING_SECONDS):
                return b": nothing new\n\n"

    def _older(self) -> Event | None:
        """Return what comes next of the past, unless the box has no less; without Postgres the client comes again."""
        try:
            while not self._over and (event := next(self._past, None)) is not None:
                with self._lock:
                    if not self._is_old(event):
                        self._box.pop(event.about, None)  # the past was looked up later
                        _remember(self._known, event.about, event.version)
                        return event
        except Unavailable:
            self._over = True
        return None

    def _is_old(self, event: Event) -> bool:
        """Tell whether what is known is as new as this: the past and the news are looked up beside each other."""
        return self.topic.kind != "batch" and self._known.get(event.about, 0) >= event.version

    def _frame(self, event: Event) -> bytes:
        name = b"progress" if self._status.get(event.about) == event.status else b"status"
        _remember(self._status, event.about, event.status)
        self._over = self._over or event.last
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event.id.encode(), event.data)


def _remember(known: dict[UUID, T], task_id: UUID, value: T) -> None:
    """Remember a value as the newest one, and forget the oldest of too many: that is told once more at worst."""
    known.pop(task_id, None)
    known[task_id] = value
    if len(known) > 2 * BOX:
        del known[next(iter(known))]
