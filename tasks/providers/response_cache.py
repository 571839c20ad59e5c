"""Caches paid responses in Redis: many callers with the same question make one call, and later ones make none.

Values are small JSON: names of stored files, scripts, facts. Losing them costs a second call and nothing else, so that a
Redis that is away means no cache, never an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from shared import redis_client
from shared.processes.ffmpeg import Stopped
from shared.settings import settings

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from redis import Redis

log = logging.getLogger(__name__)

# The holder of a lock renews it this often; a lock that was not renewed for three times as long has lost its holder.
LOCK_RENEWAL_SECONDS = 2.0
POLL_SECONDS = 0.05
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_EXTEND = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"


@dataclass(frozen=True, slots=True)
class CachedValue:
    """A JSON value, and whether it came from the cache."""

    value: Any
    cached: bool


@lru_cache(maxsize=1)
def connection() -> Redis:
    """Return this process's Redis client."""
    return redis_client.connect(settings().redis_url, socket_timeout=2, socket_connect_timeout=1)


def cache_key(kind: str, account_id: uuid.UUID, parts: Any) -> str:
    """Return the key of a question. `parts` is JSON of everything that decides the answer."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"scenemill:cache:{kind}:{account_id}:{hashlib.sha256(text.encode()).hexdigest()}"


def get_or_compute(
    key: str,
    compute: Callable[[], Any],
    *,
    ttl: float,
    refresh: bool = False,
    stop: Callable[[], bool] = lambda: False,
    redis: Redis | None = None,
) -> CachedValue:
    """Return the cached value, or have exactly one caller compute it while the others wait for it.

    `refresh` ignores what is cached; of many that refresh at once one computes, and the others take its value. What
    `compute` raises is raised to its caller; of those who waited, the next one computes. Raise Stopped when `stop`
    returns True. A value over the size limit is returned and not cached. `ttl` is in seconds.
    """
    redis = redis or connection()
    token = secrets.token_hex(8)
    try:
        # A refresh accepts only values that were written after it began.
        previous_writer = redis.get(f"{key}:by") if refresh else b""
        while not stop():
            if (found := _read_unless_by(redis, key, previous_writer)) is not None:
                return CachedValue(json.loads(found), cached=True)
            if redis.set(f"{key}:lock", token, nx=True, px=_lock_milliseconds()):
                break
            time.sleep(POLL_SECONDS)
        else:
            raise Stopped
    except RedisError:
        log.warning("cache_unavailable")
        return CachedValue(compute(), cached=False)
    with _RenewedLock(redis, f"{key}:lock", token):
        # The former holder may have written the value between our last read and our lock: do not pay for it twice.
        if (stored := _try_read(redis, key, previous_writer)) is not None:
            return CachedValue(json.loads(stored), cached=True)
        value = compute()
        _write(redis, key, value, ttl, token)
    return CachedValue(value, cached=False)


def _lock_milliseconds() -> int:
    return int(LOCK_RENEWAL_SECONDS * 3000)


def _read_unless_by(redis: Redis, key: str, previous_writer: Any) -> Any:
    """Return the cached value, or None where `previous_writer` wrote it."""
    value, by = redis.mget(key, f"{key}:by")
    return None if by == previous_writer else value


def _try_read(redis: Redis, key: str, previous_writer: Any) -> Any:
    try:
        return _read_unless_by(redis, key, previous_writer)
    except RedisError:
        log.warning("cache_unavailable")
        return None


def _write(redis: Redis, key: str, value: Any, ttl: float, token: str) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > settings().cache_max_value_bytes:
        return
    try:
        with redis.pipeline() as both:
            both.set(key, text, px=int(ttl * 1000))
            both.set(f"{key}:by", token, px=int(ttl * 1000))
            both.execute()
    except RedisError:
        log.warning("cache_unavailable")


class _RenewedLock:
    """Renews a Redis lock until the block ends, and then releases it."""

    def __init__(self, redis: Redis, lock: str, token: str) -> None:
        self._redis, self._lock, self._token = redis, lock, token
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="cache-leader", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join(timeout=10)
        try:
            self._redis.eval(_RELEASE, 1, self._lock, self._token)
        except RedisError:
            log.warning("cache_unavailable")

    def _renew(self) -> None:
        while not self._finished.wait(LOCK_RENEWAL_SECONDS):
            try:
                self._redis.eval(_EXTEND, 1, self._lock, self._token, str(_lock_milliseconds()))
            except RedisError:
                log.warning("cache_unavailable")
