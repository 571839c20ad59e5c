"""The retry policy of all calls to services outside: which failures are retried, how often, and after what wait."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from shared.processes.ffmpeg import Stopped
from tasks.deadlines import sleep_unless_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.providers.circuit_breaker import CircuitBreaker

T = TypeVar("T")

MAX_CALLS = 3  # the first call and two retries
MAX_SLEEP_SECONDS = 10.0  # in a worker's slot; past it, the job waits in the queue
BASE_DELAY_SECONDS = 1.0
# 409 is a lock timeout on the server's side; OpenAI's SDK retries it too.
_RETRYABLE = (408, 409, 425, 429)
# Error codes of a 429 that is about money.
_OUT_OF_CREDIT = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
)


class TransientFailure(Exception):
    """A call failed in a way that may pass. `retry_after` is the wait that the server asked for, in seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def call_with_retries(
    call: Callable[[], T],
    breaker: CircuitBreaker,
    *,
    stop: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `call` returns, after at most MAX_CALLS calls; report each outcome to the breaker.

    Raise the last TransientFailure, anything else that `call` raises, or Stopped. A server that asks for a wait of more
    than MAX_SLEEP_SECONDS is not waited for: the failure is raised with it, and the job waits in the queue instead.
    """
    for number in range(1, MAX_CALLS + 1):
        if stop():
            raise Stopped
        try:
            result = call()
        except TransientFailure as error:
            breaker.record_failure()
            wait = error.retry_after
            if number == MAX_CALLS or (wait or 0.0) > MAX_SLEEP_SECONDS or breaker.is_open:
                raise
            sleep_unless_stopped(backoff_seconds(number) if wait is None else wait, stop, sleep)
        else:
            breaker.record_success()
            return result
    raise AssertionError


def backoff_seconds(failures: int) -> float:
    """Return the wait after so many failures in a row: doubling, with jitter on its upper half."""
    ceiling: float = BASE_DELAY_SECONDS * 2.0 ** (failures - 1)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)


def is_retryable(status: int) -> bool:
    """Return whether the same request may succeed later."""
    return status in _RETRYABLE or status >= 500


def is_out_of_credit(status: int, body: bytes) -> bool:
    """Return whether a response is a 429 about money, which no wait changes, and not about the rate of requests."""
    return status == 429 and any(word.encode() in body[:10_000] for word in _OUT_OF_CREDIT)


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or a date; None where it has neither."""
    milliseconds = headers.get("retry-after-ms", "")
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    moment, sent = _parse_date(value), _parse_date(headers.get("date", ""))
    # The date is compared with the server's own clock: ours may differ by an hour.
    return max(0.0, (moment - (sent or now)).total_seconds()) if moment else None


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
