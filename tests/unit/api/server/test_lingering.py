"""What is left of a refused body."""

from __future__ import annotations

import time
from itertools import chain, repeat
from typing import TYPE_CHECKING

import gevent
import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser

from api.server.lingering import CHUNK_BYTES, drain_body

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

LONG = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def request(head: bytes, body: Iterable[bytes]) -> Any:
    return next(RequestParser(Config(), chain([head], body), ("127.0.0.1", 1)))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [], id="none"),
        pytest.param(LONG.replace(b"100000000000", b"100000"), [b" " * 100_000], id="of a length"),
        pytest.param(CHUNKED, [b"3\r\nabc\r\n", b"0\r\n\r\n"], id="in chunks"),
    ],
)
def test_a_body_that_ends_leaves_the_connection_open(head: bytes, body: list[bytes]) -> None:
    one = request(head, body)

    drain_body(one)

    assert not one.should_close()
    assert one.body.read(1) == b""


def test_an_endless_body_is_abandoned_while_others_are_served() -> None:
    turns: list[float] = []
    other = gevent.spawn(lambda: [turns.append(gevent.sleep(0) or time.monotonic()) for _ in range(20)])
    one = request(LONG, repeat(b" " * CHUNK_BYTES))

    begun = time.monotonic()
    drain_body(one, 0.1)

    assert 0.1 <= time.monotonic() - begun < 5
    assert one.should_close()
    assert other.ready()
    assert len(turns) == 20


@pytest.mark.parametrize("is_read", [False, True])
def test_a_malformed_body_closes_the_connection(is_read: bool) -> None:
    one = request(CHUNKED, [b"zz\r\n"])
    if is_read:
        with pytest.raises(ParseException):
            one.body.read(1)

    drain_body(one)

    assert one.should_close()
