"""What servers answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from shared.errors import BadRequest
from tasks.providers.circuit_breaker import FAILURE_THRESHOLD, CircuitBreaker
from tasks.script.model_replies import UnreadableReply, extract_json, parse_reply, parse_retry_after

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:00:30 GMT", "date": "Tue, 24 Nov 2026 13:00:00 GMT"}, 30.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert parse_retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": 3}]}',
        b"\xff",
    ],
)
def test_what_is_no_completion_is_garbled(body):
    with pytest.raises(UnreadableReply):
        parse_reply(body)


def test_a_completion_may_say_little():
    found = parse_reply(
        json.dumps({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}).encode()
    )

    assert (found.content, found.tokens, found.truncated, found.refusal) == ("", 0, True, "")


@pytest.mark.parametrize(
    "usage", [None, 3, {"total_tokens": "150"}, {"total_tokens": -5}, {"total_tokens": True}]
)
def test_odd_usage_counts_nothing(usage):
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}

    assert parse_reply(json.dumps(body).encode()).tokens == 0


@pytest.mark.parametrize("content", ["", "no", "{", '{"a": 1} {"b": 2}', '{"a": NaN}', "{" * 500])
def test_words_without_one_document_are_refused(content):
    with pytest.raises(BadRequest):
        extract_json(content)


def test_a_breaker_opens_after_failures_and_lets_one_through_after_a_pause():
    now = [100.0]
    breaker = CircuitBreaker(lambda: now[0])
    for _ in range(FAILURE_THRESHOLD - 1):
        breaker.record_failure()
    assert breaker.seconds_until_allowed() == 0

    breaker.record_failure()

    assert breaker.seconds_until_allowed() == 30
    now[0] += 30
    assert [breaker.seconds_until_allowed() for _ in range(3)] == [0, 30, 30]
    breaker.record_failure()
    assert breaker.seconds_until_allowed() == 60
    now[0] += 60
    assert breaker.seconds_until_allowed() == 0
    breaker.record_success()
    assert [breaker.seconds_until_allowed() for _ in range(3)] == [0, 0, 0]


def test_a_breakers_pause_is_bounded():
    breaker = CircuitBreaker(lambda: 0.0)

    for _ in range(100):
        breaker.record_failure()

    assert breaker.seconds_until_allowed() == 300
