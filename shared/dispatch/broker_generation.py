"""Detects that the broker may have lost its messages, so that the sweeper publishes all of them again.

Redis: a key names the Redis process that holds the messages. It is missing after a flush, and names another process
after a restart or failover, which loses the last second's messages. RabbitMQ keeps messages on disk: a queue of ours is
missing only where it came back without them.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from amqp.exceptions import NotFound
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared import redis_client
from shared.broker import app
from shared.celery_config import is_amqp
from shared.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu import Connection
    from redis import Redis

KEY = "scenemill:epoch"
QUEUE = "scenemill.epoch"
# RabbitMQ's own errors differ by transport and are translated in `_channel`; the rest are network errors.
BROKER_ERRORS = (RedisError, KombuError, OSError)


def may_have_lost_messages() -> bool:
    """Return whether messages may be lost since `start_generation`. A broker that does not answer has lost none yet."""
    try:
        return _is_queue_gone() if is_amqp(settings().broker_url) else _is_another_redis()
    except BROKER_ERRORS:
        return False


def start_generation() -> None:
    """Record which broker process holds the messages; call it once all of them are due to be published again."""
    with contextlib.suppress(*BROKER_ERRORS):  # the next sweep finds it still lost, and publishes again
        if is_amqp(settings().broker_url):
            with _channel() as channel:
                channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        else:
            _redis().set(KEY, _redis_run_id())


@lru_cache(maxsize=1)
def _redis() -> Redis:
    # Short timeouts: the sweeper asks every round, and must not hang on a broker that is away.
    return redis_client.connect(settings().broker_url, socket_timeout=2, socket_connect_timeout=2)


def _is_another_redis() -> bool:
    recorded = _redis().get(KEY)
    return not isinstance(recorded, bytes) or recorded.decode() != _redis_run_id()


def _redis_run_id() -> str:
    return str(_redis().info("server")["run_id"])


def _is_queue_gone() -> bool:
    try:
        with _channel() as channel:
            # Passive: it only asks, and does not create the queue whose absence is the sign.
            channel.queue_declare(QUEUE, passive=True)
    except NotFound:
        return True
    return False


@lru_cache(maxsize=1)
def _rabbitmq() -> Connection:
    return app.connection_for_write(connect_timeout=2)


@contextlib.contextmanager
def _channel() -> Iterator[Any]:
    """Open a channel of its own: asking for a missing queue closes it. A broken connection is not reused."""
    connection = _rabbitmq()
    try:
        channel: Any = connection.channel()
        yield channel
        channel.close()
    except NotFound:
        raise
    except (*connection.connection_errors, *connection.channel_errors) as error:
        _rabbitmq.cache_clear()
        connection.collect(socket_timeout=1)
        raise KombuError(str(error)) from error
