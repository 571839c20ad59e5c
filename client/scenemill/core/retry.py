"""When a request is sent again, and how long to wait before. Pure: nothing is sent here."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass
from typing import TypeAlias

import httpx

Attempt: TypeAlias = httpx.Response | httpx.TransportError

# The server says that it accepted nothing: any request may be sent again.
REFUSED = (429, 503)
# The server, or a proxy before it, may have accepted the request: only a repeatable one may be sent again.
UNCLEAR = (500, 502, 504)
CONFLICT = 409


@dataclass(frozen=True)
class Retry:
    """How a client deals with failures that pass.

    `attempts` counts the first one. The pause doubles from `first_pause` to `longest_pause` seconds, with jitter, where
    the server asks for none by `Retry-After`; one that is longer than `longest_wait` is not waited for.
    """

    attempts: int = 5
    first_pause: float = 0.25
    longest_pause: float = 20.0
    longest_wait: float = 120.0

    def again(self, attempt: Attempt, *, repeatable: bool) -> bool:
        """Tell whether sending the request again can help and can do no harm."""
        if isinstance(attempt, httpx.ConnectError | httpx.ConnectTimeout):
            return True
        if isinstance(attempt, httpx.TransportError):
            return repeatable
        if (retry_after(attempt) or 0.0) > self.longest_wait:
            return False
        if attempt.status_code == CONFLICT:
            # The first request with this idempotency key is still in progress, and says when to ask again.
            return "Idempotency-Key" in attempt.request.headers and "Retry-After" in attempt.headers
        return attempt.status_code in REFUSED or (repeatable and attempt.status_code in UNCLEAR)

    def pause(self, number: int, attempt: Attempt | None = None) -> float:
        """Return the seconds to wait after attempt `number`, counted from 0."""
        if isinstance(attempt, httpx.Response) and (asked := retry_after(attempt)) is not None:
            return min(asked, self.longest_wait)
        longest: float = min(self.longest_pause, self.first_pause * 2.0**number)
        return random.uniform(longest / 2, longest)  # noqa: S311 (spreads clients out; no secret)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that `Retry-After` asks for, in either of its forms."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
