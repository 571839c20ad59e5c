"""Rate limits per account and per address, in Redis, and a limit on an account's concurrent requests.

While Redis is unavailable each process counts for itself. No request waits for Redis longer than the timeouts below.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from flask_limiter import ApplicationLimit, Limiter
from limits.strategies import STRATEGIES, FixedWindowRateLimiter
from limits.util import WindowStats
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.http.caller import identity
from shared import redis_client
from shared.errors import ConcurrencyLimitExceeded

if TYPE_CHECKING:
    from flask_limiter import RequestLimit
    from limits import RateLimitItem

    from shared.settings import Settings

REDIS_SECONDS = 0.15  # to connect, and again to answer: a request must stay fast while Redis is down
MAX_WINDOWS = 10_000  # windows whose end times a process keeps
MAX_CONCURRENT = (
    400  # requests of one account in one process, with long polls and uploads but without event streams
)


def register(app: Flask, config: Settings) -> None:
    """Limit every request of the application. Register it after authentication: it counts by account."""
    limiter = Limiter(
        key_func=_address_key,
        application_limits=[
            ApplicationLimit(
                config.rate_limit, key_function=_account_key, scope="account", exempt_when=_is_anonymous
            ),
            ApplicationLimit(config.address_rate_limit, key_function=_address_key, scope="address"),
        ],
        **_storage_options(config.redis_url),
        strategy=RecordedFixedWindow.NAME,
        key_prefix="scenemill",
        # Unknown paths count too, so that scanning for paths is limited like everything else.
        request_identifier=lambda: request.endpoint or "nothing",
        in_memory_fallback_enabled=True,
    )
    limiter.init_app(app)
    limiter.request_filter(_is_exempt)
    gate = ConcurrencyLimit(MAX_CONCURRENT)
    app.before_request(gate.acquire)
    app.teardown_request(gate.release)
    app.after_request(lambda response: _add_headers(response, limiter.current_limits))


def _storage_options(url: str) -> dict[str, Any]:
    timeouts = {
        "socket_connect_timeout": REDIS_SECONDS,
        "socket_timeout": REDIS_SECONDS,
        # No retries: each would add the timeout once more to every request while Redis is down.
        "retry": Retry(NoBackoff(), 0),
    }
    group = redis_client.parse_sentinel_url(url)
    if group is None:
        return {"storage_uri": url, "storage_options": timeouts}
    credentials = {"db": group.database, "username": group.username, "password": group.password}
    sentinel_options = {
        "sentinel_kwargs": group.sentinel_options(**timeouts),
        "use_replicas": False,  # they lag behind: counting there would let too many requests through
    }
    return {
        "storage_uri": group.limits_url(),
        "storage_options": {**timeouts, **credentials, **sentinel_options},
    }


class RecordedFixedWindow(FixedWindowRateLimiter):
    """Fixed windows that remember the count of each hit, so that response headers need no second round trip to Redis.

    A window's end is read once: it starts with its first request, and its end never moves.
    """

    NAME = "scenemill-fixed-window"

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self._ends: dict[str, float] = {}

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count a request, and return whether it is within the limit."""
        key = item.key_for(*identifiers)
        count = self.storage.incr(key, item.get_expiry(), amount=cost)
        if count == cost:
            self._remember(key, time.time() + item.get_expiry())
        g.setdefault("counted", {})[key] = count
        return count <= item.amount

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the window ends, and how many requests remained when this one was counted."""
        key = item.key_for(*identifiers)
        if key not in g.get("counted", {}):
            return super().get_window_stats(item, *identifiers)
        if self._ends.get(key, 0.0) <= time.time():
            self._remember(key, self.storage.get_expiry(key))
        return WindowStats(self._ends[key], max(0, item.amount - g.counted[key]))

    def _remember(self, key: str, end: float) -> None:
        # Addresses are unlimited, and so would be this dictionary.
        if len(self._ends) >= MAX_WINDOWS:
            self._ends.clear()
        self._ends[key] = end


STRATEGIES[RecordedFixedWindow.NAME] = RecordedFixedWindow


class ConcurrencyLimit:
    """Counts the requests of each account that this process is serving."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()

    def acquire(self) -> None:
        """Count the request in, or raise ConcurrencyLimitExceeded."""
        if _is_anonymous():
            return
        key = _account_key()
        with self._lock:
            if self._inside[key] >= self._most:
                raise ConcurrencyLimitExceeded(
                    f"This account has {self._most} requests under way. Wait for some of them to finish."
                )
            self._inside[key] += 1
        g.inside = key

    def release(self, _: BaseException | None) -> None:
        """Count the request out, once."""
        # Popped: a second teardown of the same request must not free another one's place.
        key = g.pop("inside", None)
        if key is None:
            return
        with self._lock:
            self._inside[key] -= 1
            # Or the counter would keep an entry for every account ever seen.
            if not self._inside[key]:
                del self._inside[key]


def _address_key() -> str:
    return request.remote_addr or "unknown"


def _account_key() -> str:
    caller = identity()
    return str(caller.account_id) if caller else ""


def _is_anonymous() -> bool:
    return identity() is None


def _is_exempt() -> bool:
    """Exempt probes and pages: an orchestrator that is refused would restart a healthy process."""
    return not request.path.startswith("/v1/")


def _add_headers(response: Response, limits: list[RequestLimit]) -> Response:
    """Write RateLimit headers for the limit that matters most: an exceeded one, else the account's, else the address's."""
    if not limits:
        return response
    limit = next((limit for limit in limits if limit.breached), _most_relevant(limits))
    with suppress(Exception):  # the counters are read again here, and Redis may have failed meanwhile
        name = "burst" if _account_key() and _account_key() in limit.request_args else "address"
        remaining, window = limit.remaining, limit.limit.get_expiry()
        seconds = min(window, max(1, math.ceil(limit.reset_at - time.time())))  # reset_at is rounded up
        response.headers["RateLimit-Policy"] = f'"{name}";q={limit.limit.amount};w={window}'
        response.headers["RateLimit"] = f'"{name}";r={max(0, remaining)};t={seconds}'
        if limit.breached:
            response.headers["Retry-After"] = str(seconds)
    return response


def _most_relevant(limits: list[RequestLimit]) -> RequestLimit:
    return next(
        (limit for limit in limits if _account_key() and _account_key() in limit.request_args), limits[0]
    )
