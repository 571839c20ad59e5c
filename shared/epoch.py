"""Notices that the broker's Redis was flushed or replaced: a key of ours is gone, and with it every message.

Other brokers keep their messages in their own way; for them the republishing of forgotten messages has to do.
"""

from __future__ import annotations

from functools import lru_cache

from redis import Redis
from redis.exceptions import RedisError

from shared.settings import settings

KEY = "scenemill:epoch"


@lru_cache(maxsize=1)
def _connection() -> Redis | None:
    url = settings().broker_url
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return None
    return Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def is_lost() -> bool:
    """Tell whether the messages of this epoch are gone. A Redis that does not answer has lost nothing yet."""
    connection = _connection()
    try:
        return connection is not None and not connection.exists(KEY)
    except RedisError:
        return False


def begin() -> None:
    """Begin a new epoch, once all that was published is going to be published again."""
    connection = _connection()
    try:
        if connection is not None:
            connection.set(KEY, 1)
    except RedisError:
        return  # the next sweep finds it still lost, and publishes once more
