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

from api.http.caller import caller
from api.openapi.resource import no_content
from api.tasks.change_poller import is_stopping, poller
from shared.errors import ConcurrencyLimitExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from api.tasks.task_changes import Event, Topic
    from shared.accounts import Identity

T = TypeVar("T")
MEDIA_TYPE = "text/event-stream"
PING_SECONDS = 15.0  # between two signs of life
SEND_SECONDS = 20.0  # that one piece of news may take to be sent
RETRY_MILLISECONDS = 2000  # after which a browser comes again
MAX_PENDING = 1000  # tasks that an account's watcher may be behind
MAX_STREAMS_PER_ACCOUNT, MAX_STREAMS = 1000, 3000  # watchers of one process
SEND_BUFFER_BYTES = 32 * 1024  # bytes of a connection that the kernel keeps for a reader
_NO_EVENTS: Iterator[Event] = iter(())
_open_streams: Counter[UUID] = Counter()
_lock = threading.Lock()


def stream_response(
    topic: Topic, first: Iterable[Event], *, told: str | None, past: Iterator[Event] = _NO_EVENTS
) -> Response:
    """Answer with a stream that begins with these events, but for the one whose id the client was told before.

    What is `past` is told before them, and made only as fast as it is read. Who was told the last event of all is answered
    204: an `EventSource` comes again after each end of a stream, and nothing else keeps it from doing so for ever.
    """
    first = list(first)
    if any(event.final and event.id == told for event in first):
        return no_content()
    who = caller()
    owner = who.account_id
    with _lock:
        if _open_streams[owner] >= MAX_STREAMS_PER_ACCOUNT:
            raise ConcurrencyLimitExceeded(
                f"This account has {MAX_STREAMS_PER_ACCOUNT} streams of events open."
            )
        if _open_streams.total() >= MAX_STREAMS:
            raise Unavailable("Too many streams of events are open here. Try again shortly.")
        _open_streams[owner] += 1
    stream = EventStream(topic, who, _connection(), past)
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
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * SEND_SECONDS))
    return found


def _shut_down(connection: socket.socket) -> None:
    """Have whoever waits to send there see that the other side has gone, as gunicorn expects it to happen."""
    # By another name of the same connection: gevent would tell the sender that its own file was closed.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


class EventStream:
    """One watcher: an iterator of what is to be sent, and where news are put."""

    wants_document: ClassVar[bool] = True

    def __init__(
        self,
        topic: Topic,
        who: Identity,
        connection: socket.socket | None,
        past: Iterator[Event] = _NO_EVENTS,
    ) -> None:
        self.topic = topic
        self._past = past
        self.caller: Identity | None = who
        self._owner: UUID | None = who.account_id
        self._connection = connection
        self._seen_versions: dict[UUID, int] = {}  # by task, as it was put into the box
        self._sent_status: dict[UUID, str] = {}  # by task, as it was sent
        self._pending: OrderedDict[UUID, Event] = OrderedDict()
        self._has_pending = threading.Event()
        self._lock = threading.Lock()
        self._ended = self._retry_sent = False
        self._sending_since: float | None = None

    def begin(self, first: Iterable[Event], *, told: str | None) -> None:
        """Take the first events, and be brought news from now on."""
        for event in first:
            if event.id != told:
                self.notify(event)
                continue
            self._seen_versions[event.subject_id], self._sent_status[event.subject_id] = (
                event.version,
                event.status,
            )
        poller.add(self)

    def has_seen(self, task_id: UUID, version: int) -> bool:
        """Tell whether this is no news."""
        return self._seen_versions.get(task_id) == version

    def notify(self, event: Event | None) -> None:
        """Take a piece of news, or the end of all news. It never waits."""
        with self._lock:
            if event is None or (len(self._pending) >= MAX_PENDING and event.subject_id not in self._pending):
                self._ended = True
            elif not self._is_outdated(event):
                _remember(self._seen_versions, event.subject_id, event.version)
                self._pending[event.subject_id] = event
                self._pending.move_to_end(event.subject_id)
            self._has_pending.set()

    def tick(self) -> None:
        """Drop who does not read, and everyone when this process ends."""
        since = self._sending_since
        if since is not None and time.monotonic() - since > SEND_SECONDS and self._connection is not None:
            self.notify(None)
            _shut_down(self._connection)
        if is_stopping():
            self.notify(None)

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
        poller.remove(self)
        with _lock:
            if self._owner is not None:
                _open_streams.subtract([self._owner])
                if not _open_streams[self._owner]:
                    del _open_streams[self._owner]
                self._owner = None

    def _next(self) -> bytes:
        if not self._retry_sent:
            self._retry_sent = True
            return b"retry: %d\n\n" % RETRY_MILLISECONDS
        if (older := self._next_past_event()) is not None:
            return self._frame(older)
        while True:
            with self._lock:
                if self._pending:
                    return self._frame(self._pending.popitem(last=False)[1])
                if self._ended:
                    raise StopIteration
                self._has_pending.clear()
            if not self._has_pending.wait(PING_SECONDS):
                return b": nothing new\n\n"

    def _next_past_event(self) -> Event | None:
        """Return what comes next of the past, unless the box has no less; without Postgres the client comes again."""
        try:
            while not self._ended and (event := next(self._past, None)) is not None:
                with self._lock:
                    if not self._is_outdated(event):
                        self._pending.pop(event.subject_id, None)  # the past was looked up later
                        _remember(self._seen_versions, event.subject_id, event.version)
                        return event
        except Unavailable:
            self._ended = True
        return None

    def _is_outdated(self, event: Event) -> bool:
        """Tell whether what is known is as new as this: the past and the news are looked up beside each other."""
        return self.topic.kind != "batch" and self._seen_versions.get(event.subject_id, 0) >= event.version

    def _frame(self, event: Event) -> bytes:
        name = b"progress" if self._sent_status.get(event.subject_id) == event.status else b"status"
        _remember(self._sent_status, event.subject_id, event.status)
        self._ended = self._ended or event.final
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event.id.encode(), event.data)


def _remember(known: dict[UUID, T], task_id: UUID, value: T) -> None:
    """Remember a value as the newest one, and forget the oldest of too many: that is told once more at worst."""
    known.pop(task_id, None)
    known[task_id] = value
    if len(known) > 2 * MAX_PENDING:
        del known[next(iter(known))]
