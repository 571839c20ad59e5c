"""A circuit breaker keeps calls from a server that fails, and tries it again after a pause."""

from __future__ import annotations

from tasks.providers.circuit_breaker import FAILURE_THRESHOLD, CircuitBreaker


def test_a_breaker_opens_after_failures_and_lets_one_call_through_after_a_pause():
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
