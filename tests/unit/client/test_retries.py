"""When the client sends a request again."""

from __future__ import annotations

import email.utils
import time

import httpx
import pytest

from scenemill import Retry

RETRY = Retry()


@pytest.mark.parametrize(
    ("outcome", "repeatable", "again"),
    [
        pytest.param(httpx.ConnectError("refused"), False, True, id="nothing was sent"),
        pytest.param(httpx.ReadTimeout("late"), False, False, id="it may have been taken"),
        pytest.param(httpx.ReadTimeout("late"), True, True, id="taking it twice does no harm"),
        pytest.param(httpx.Response(503), False, True, id="the server took nothing"),
        pytest.param(httpx.Response(429), False, True, id="too fast"),
        pytest.param(httpx.Response(502), False, False, id="a proxy's error to a plain POST"),
        pytest.param(httpx.Response(502), True, True, id="a proxy's error to an idempotent request"),
        pytest.param(httpx.Response(422), True, False, id="the input is wrong"),
        pytest.param(httpx.Response(404), True, False, id="there is no such thing"),
    ],
)
def test_a_request_is_sent_again_only_where_that_can_help_and_do_no_harm(outcome, repeatable, again):
    assert RETRY.again(outcome, repeatable=repeatable) is again


def test_the_server_says_how_long_to_wait_in_seconds_or_by_a_date():
    soon = email.utils.formatdate(time.time() + 5, usegmt=True)

    by_number = RETRY.pause(1, httpx.Response(503, headers={"Retry-After": "7"}))
    by_date = RETRY.pause(1, httpx.Response(503, headers={"Retry-After": soon}))
    by_nonsense = RETRY.pause(0, httpx.Response(503, headers={"Retry-After": "soon"}))

    assert by_number == 7
    assert 3 <= by_date <= 5
    assert by_nonsense <= RETRY.first_pause


def test_a_huge_wait_is_capped_and_waits_grow_without_advice():
    huge = RETRY.pause(1, httpx.Response(503, headers={"Retry-After": "86400"}))
    first, sixth = (RETRY.pause(tries, httpx.ConnectError("refused")) for tries in (0, 5))

    assert huge == RETRY.longest_wait
    assert first <= RETRY.first_pause < sixth <= RETRY.longest_pause
