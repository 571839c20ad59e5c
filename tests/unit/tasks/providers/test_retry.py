"""Which failures of a call are retried, how often, and after what wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.processes.ffmpeg import Stopped
from tasks.providers.circuit_breaker import FAILURE_THRESHOLD, CircuitBreaker
from tasks.providers.retry import (
    MAX_CALLS,
    MAX_SLEEP_SECONDS,
    TransientFailure,
    backoff_seconds,
    call_with_retries,
    is_out_of_credit,
    is_retryable,
    parse_retry_after,
)

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


class Calls:
    """Fails in turn with these failures, then answers; and notes how long was slept."""

    def __init__(self, *failures: Exception) -> None:
        self.left, self.made, self.slept = list(failures), 0, 0.0
        self.breaker = CircuitBreaker(lambda: 0.0)

    def call(self) -> str:
        self.made += 1
        if self.left:
            raise self.left.pop(0)
        return "answer"

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def run(self, *, stop: bool = False) -> str:
        return call_with_retries(self.call, self.breaker, stop=lambda: stop, sleep=self.sleep)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_transient_statuses_are_retryable(status: int) -> None:
    assert is_retryable(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 413, 422])
def test_permanent_statuses_are_not_retryable(status: int) -> None:
    assert not is_retryable(status)


def test_a_429_about_money_is_distinguished_from_a_rate_limit() -> None:
    assert is_out_of_credit(429, b'{"error": {"code": "insufficient_quota"}}')
    assert not is_out_of_credit(429, b'{"error": {"code": "rate_limit_exceeded"}}')
    assert not is_out_of_credit(500, b"insufficient_quota")


def test_a_transient_failure_is_retried_after_a_growing_wait() -> None:
    calls = Calls(TransientFailure("busy"), TransientFailure("busy"))

    assert calls.run() == "answer"
    assert calls.made == MAX_CALLS
    assert 1.5 <= calls.slept <= 3.0


def test_the_wait_that_a_server_asks_for_is_respected() -> None:
    calls = Calls(TransientFailure("busy", 7.0))

    calls.run()

    assert calls.slept == pytest.approx(7.0, abs=0.2)


def test_a_lasting_failure_is_raised_after_the_last_call() -> None:
    calls = Calls(*[TransientFailure("busy")] * 9)

    with pytest.raises(TransientFailure):
        calls.run()

    assert calls.made == MAX_CALLS


def test_a_wait_longer_than_a_slot_may_sleep_is_passed_to_the_caller() -> None:
    calls = Calls(TransientFailure("busy", MAX_SLEEP_SECONDS + 1))

    with pytest.raises(TransientFailure) as caught:
        calls.run()

    assert (calls.made, calls.slept, caught.value.retry_after) == (1, 0.0, MAX_SLEEP_SECONDS + 1)


def test_no_more_calls_are_made_once_the_circuit_is_open() -> None:
    calls = Calls(*[TransientFailure("busy")] * 9)
    for _ in range(FAILURE_THRESHOLD - 1):
        calls.breaker.record_failure()

    with pytest.raises(TransientFailure):
        calls.run()

    assert calls.made == 1


def test_a_permanent_failure_is_raised_at_once_and_not_counted_by_the_breaker() -> None:
    calls = Calls(ValueError("refused"))

    with pytest.raises(ValueError, match="refused"):
        calls.run()

    assert calls.made == 1
    assert not calls.breaker.is_open


def test_stopped_work_makes_no_call() -> None:
    calls = Calls()

    with pytest.raises(Stopped):
        calls.run(stop=True)

    assert calls.made == 0


def test_waits_double_with_jitter() -> None:
    waits = [[backoff_seconds(failures) for _ in range(100)] for failures in (1, 2, 3)]

    assert all(0.5 * 2**at <= wait <= 2**at for at, each in enumerate(waits) for wait in each)
