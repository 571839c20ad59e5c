"""When a request is sent again, and how long to wait before. Pure: no request is sent here."""

from __future__ import annotations

import email.utils
import random
import time

import httpx

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 20.0
UNASKED_LOOK, SHORTEST_LOOK = 1.0, 0.2
# The server says that it took nothing: any request may be sent again.
REFUSED = (429, 503)
# The server, or one on the way to it, may have taken the request: only what is idempotent may be sent again.
UNCLEAR = (500, 502, 504)


def worth_it(outcome: httpx.Response | httpx.TransportError, *, idempotent: bool) -> bool:
    """Tell whether sending the request again can help and can do no harm."""
    if isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout):
        return True
    if isinstance(outcome, httpx.TransportError):
        return idempotent
    return outcome.status_code in REFUSED or (idempotent and outcome.status_code in UNCLEAR)


def pause(tries: int, outcome: httpx.Response | httpx.TransportError) -> float:
    """Return the seconds to wait after so many tries: what the server asks for, else longer each time."""
    if isinstance(outcome, httpx.Response):
        asked = retry_after(outcome)
        if asked is not None:
            return min(asked, LONGEST_PAUSE)
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**tries)
    return random.uniform(longest / 2, longest)  # noqa: S311 (spreads clients out; no secret)


def between_looks(response: httpx.Response) -> float:
    """Return the seconds to the next look at an unfinished task."""
    asked = retry_after(response)
    return UNASKED_LOOK if asked is None else min(max(asked, SHORTEST_LOOK), LONGEST_PAUSE)


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
