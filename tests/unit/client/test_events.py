"""Streams of events: how bytes become events, and what happens when a connection breaks."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenemill import ApiError, Unreachable
from scenemill.core.events import Message, Parser
from tests.unit.client.answers import BATCH, DONE, TASK, answer
from tests.unit.client.conftest import Broken

STREAM = (
    'retry: 2000\n\n: still here\n\nevent: progress\nid: 1\ndata: {"a":\ndata:  "ü"}\n\n'
    "data: plain\r\n\r\nid: 3\nevent: status\ndata: end\nunknown: x\n\n"
).encode()
EVENTS = [
    Message("1", "progress", '{"a":\n "ü"}'),
    Message("1", "message", "plain"),
    Message("3", "status", "end"),
]


def event(number, task, name="progress"):
    return f"event: {name}\nid: {number}\ndata: {json.dumps(task)}\n\n".encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_network_cuts_them(cuts):
    parser, places = Parser(), [0, *sorted(cuts), len(STREAM)]

    found = [each for start, end in itertools.pairwise(places) for each in parser.feed(STREAM[start:end])]

    assert found == EVENTS


def test_a_broken_stream_goes_on_after_the_last_event(connect, server):
    running = TASK | {"status": "running", "progress": 0.5}
    server.answers = [
        Broken(event(1, TASK) + b"event: progress\nid: 2\ndata: {"),
        answer(503, {"title": "Away"}),
        (200, {}, event(2, running)),
        (200, {}, event(3, DONE, "status")),
        (204, {}, b""),
    ]

    with connect(server.url, "key") as api:
        seen = [(one.id, one.name, one.data.progress) for one in api.tasks.events("t1")]

    assert seen == [("1", "progress", 0.0), ("2", "progress", 0.5), ("3", "status", 1.0)]
    ids = [one["headers"].get("last-event-id") for one in server.requests]
    assert ids == [None, "1", "1", "2", "3"]
    assert {one["headers"]["accept"] for one in server.requests} == {"text/event-stream"}


def test_events_of_a_batch_are_batches(connect, server):
    server.answers = [(200, {}, event(7, BATCH)), (204, {}, b"")]

    with connect(server.url, "key") as api:
        (seen,) = api.batches.events("b1", last_event_id="6")

    assert seen.data.counts == {"queued": 2}
    assert server.requests[0]["headers"]["last-event-id"] == "6"


def test_a_stream_ends_when_the_key_does(connect, server):
    server.answers = [(200, {}, event(1, TASK)), answer(401, {"title": "Revoked"})]

    with connect(server.url, "key") as api:
        seen = api.events()
        assert next(seen).id == "1"
        with pytest.raises(ApiError, match="Revoked"):
            next(seen)


def test_a_stream_that_breaks_again_and_again_is_given_up(connect, server):
    server.answers = [Broken(event(1, TASK)), Broken(b""), Broken(b""), Broken(b"")]

    with connect(server.url, "key") as api, pytest.raises(Unreachable, match="broke off"):
        list(api.tasks.events("t1"))


# httpx and httpcore leave their generators to the event loop, and trio says so.
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
def test_a_stream_that_is_left_closes_its_connection(connect, server):
    server.answers = [(200, {}, event(1, TASK) * 3), answer(200, DONE)]

    with connect(server.url, "key") as api:
        for seen in api.tasks.events("t1"):
            assert seen.id == "1"
            break
        assert api.tasks.get("t1").finished
