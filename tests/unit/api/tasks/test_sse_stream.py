"""What a watcher is told, and in which order."""

from __future__ import annotations

import uuid

from api.tasks.sse_stream import EventStream
from api.tasks.task_changes import Event, Topic
from shared.accounts import Identity
from shared.states import State

RUNNING = Event(uuid.UUID(int=1), version=3, status=State.RUNNING, id="7.000", data=b"running")
ENDED = Event(RUNNING.subject_id, version=4, status=State.SUCCEEDED, id="6.000", data=b"ended")


def watcher(*past: Event) -> EventStream:
    who = Identity(uuid.uuid4(), "key", frozenset())
    return EventStream(Topic("account", who.account_id), who, None, iter(past))


def told(stream: EventStream) -> list[bytes]:
    """End it, and return the data of what it is told until then."""
    stream.notify(None)
    return [frame.rpartition(b"data: ")[2].strip() for frame in stream if b"data: " in frame]


def test_a_past_event_is_not_followed_by_an_older_one() -> None:
    stream = watcher(ENDED)
    stream.notify(RUNNING)  # looked up before it ended
    frames = [next(stream), next(stream)]

    stream.notify(RUNNING)

    assert b"ended" in frames[1]
    assert told(stream) == []


def test_an_event_both_past_and_pending_is_sent_once() -> None:
    stream = watcher(RUNNING)
    stream.notify(ENDED)
    next(stream)

    assert [b"ended" in next(stream)] == [True]
    assert told(stream) == []
