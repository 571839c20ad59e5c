"""Server-Sent Events streams: each buffers the latest event of each task until its client has read it.

A client that does not read is disconnected, when its buffer overflows or a send takes too long, so that slow readers cost
little memory and delay nobody.
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
PING_SECONDS = 15.0  # between two comments that keep the connection alive
SEND_SECONDS = 20.0  # that sending one event may take
RETRY_MILLISECONDS = 2000  # after which a browser reconnects
MAX_PENDING = 1000  # tasks with unsent events, per stream
MAX_STREAMS_PER_ACCOUNT, MAX_STREAMS = 1000, 3000  # streams of one process
SEND_BUFFER_BYTES = 32 * 1024  # of the kernel: its default hides a stuck reader behind megabytes
_NO_EVENTS: Iterator[Event] = iter(())
_open_streams: Counter[UUID] = Counter()
_lock = threading.Lock()


def stream_response(
    topic: Topic, first: Iterable[Event], *, acknowledged: str | None, past: Iterator[Event] = _NO_EVENTS
) -> Response:
    """Return a stream that starts with these events, without the one that the client has already (`acknowledged`).

    `past` events come before them, and are read from the database only as fast as the client reads. A client that has the
    final event gets 204: an EventSource would otherwise reconnect for ever.
    """
    first = list(first)
    if any(event.final and event.id == acknowledged for event in first):
        return no_content()
    identity = caller()
    owner = identity.account_id
    with _lock:
        if _open_streams[owner] >= MAX_STREAMS_PER_ACCOUNT:
            raise ConcurrencyLimitExceeded(
                f"This account has {MAX_STREAMS_PER_ACCOUNT} event streams open, the most allowed. Close some of them."
            )
        if _open_streams.total() >= MAX_STREAMS:
            raise Unavailable("Too many event streams are open on this server. Reconnect in a few seconds.")
        # Counted before the stream exists: two requests at once could both pass the check.
        _open_streams[owner] += 1
    stream = EventStream(topic, identity, _connection(), past)
    stream.start(first, acknowledged=acknowledged)
    response = Response(stream, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    # nginx would otherwise buffer events until a block of 4 kB is full.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def last_event_id() -> str | None:
    """Return the id of the last event that the client received, or None."""
    return request.headers.get("Last-Event-ID", "")[:64] or None


def _connection() -> socket.socket | None:
    """Return the request's socket, with a small send buffer and a timeout for unacknowledged data."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # not every kind of socket supports these options
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * SEND_SECONDS))
    return connection


def _shut_down(connection: socket.socket) -> None:
    """Shut the connection down, so that a blocked sender fails as if the client had disconnected."""
    # On a duplicate descriptor: closing gevent's socket would raise EBADF in the sender, which gunicorn logs as an error.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


class EventStream:
    """One event stream: a watcher that buffers events, and the iterator that gunicorn sends."""

    wants_document: ClassVar[bool] = True

    def __init__(
        self,
        topic: Topic,
        identity: Identity,
        connection: socket.socket | None,
        past: Iterator[Event] = _NO_EVENTS,
    ) -> None:
        self.topic = topic
        self._past = past
        self.caller: Identity | None = identity
        self._owner: UUID | None = identity.account_id
        self._connection = connection
        self._seen_versions: dict[UUID, int] = {}  # by task, as last buffered
        self._sent_status: dict[UUID, str] = {}  # by task, as last sent
        self._pending: OrderedDict[UUID, Event] = OrderedDict()
        self._has_pending = threading.Event()
        self._lock = threading.Lock()
        self._ended = self._retry_sent = False
        self._sending_since: float | None = None

    def start(self, first: Iterable[Event], *, acknowledged: str | None) -> None:
        """Buffer the first events, and start watching for changes."""
        for event in first:
            if event.id != acknowledged:
                self.notify(event)
                continue
            self._seen_versions[event.subject_id], self._sent_status[event.subject_id] = (
                event.version,
                event.status,
            )
        poller.add(self)

    def has_seen(self, task_id: UUID, version: int) -> bool:
        """Return whether this version was buffered already."""
        return self._seen_versions.get(task_id) == version

    def notify(self, event: Event | None) -> None:
        """Buffer an event, or end the stream on None. It never blocks."""
        with self._lock:
            if event is None or (len(self._pending) >= MAX_PENDING and event.subject_id not in self._pending):
                self._ended = True
            elif not self._is_outdated(event):
                _remember(self._seen_versions, event.subject_id, event.version)
                self._pending[event.subject_id] = event
                # To the end: tasks that change all the time must not delay the first event of others.
                self._pending.move_to_end(event.subject_id)
            self._has_pending.set()

    def tick(self) -> None:
        """End the stream of a client that does not read, and every stream when this process stops."""
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
        """Return the next bytes to send: an event, or a comment after some seconds without one."""
        self._sending_since = None
        data = self._next()
        self._sending_since = time.monotonic()
        return data

    def close(self) -> None:
        """Stop watching. The server calls it however the request ends."""
        poller.remove(self)
        with _lock:
            if self._owner is not None:
                _open_streams.subtract([self._owner])
                if not _open_streams[self._owner]:
                    # Or the counter would keep an entry for every account ever seen.
                    del _open_streams[self._owner]
                self._owner = None

    def _next(self) -> bytes:
        if not self._retry_sent:
            self._retry_sent = True
            return b"retry: %d\n\n" % RETRY_MILLISECONDS
        if (event := self._next_past_event()) is not None:
            return self._frame(event)
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
        """Return the next past event that is not outdated, or None; end the stream if the database fails."""
        try:
            while not self._ended and (event := next(self._past, None)) is not None:
                with self._lock:
                    if not self._is_outdated(event):
                        self._pending.pop(event.subject_id, None)  # the past event was read later
                        _remember(self._seen_versions, event.subject_id, event.version)
                        return event
        except Unavailable:
            self._ended = True
        return None

    def _is_outdated(self, event: Event) -> bool:
        """Return whether a buffered version is as new: past events and changes are read in parallel."""
        return self.topic.kind != "batch" and self._seen_versions.get(event.subject_id, 0) >= event.version

    def _frame(self, event: Event) -> bytes:
        name = b"progress" if self._sent_status.get(event.subject_id) == event.status else b"status"
        _remember(self._sent_status, event.subject_id, event.status)
        self._ended = self._ended or event.final
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event.id.encode(), event.data)


def _remember(latest: dict[UUID, T], task_id: UUID, value: T) -> None:
    """Store a value as the newest one and drop the oldest of too many, whose event may then be sent twice."""
    latest.pop(task_id, None)
    latest[task_id] = value
    if len(latest) > 2 * MAX_PENDING:
        del latest[next(iter(latest))]
