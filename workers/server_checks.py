"""Checks of servers named by URL for `scenemill doctor`: whether they answer, and which version they run."""

from __future__ import annotations

import re
from typing import Any

from kombu import Connection
from kombu.exceptions import KombuError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared import redis_client
from shared.celery_config import is_amqp
from workers.doctor import REDIS_FLOORS, Finding, judge_version

SECONDS = 3
RABBITMQ_FLOORS = ((3, 8),)
OPEN = "holes are known; do not let others reach it"


def check_server(name: str, url: str) -> Finding:
    """Return the finding for a broker's or a Redis's URL, without its password."""
    where = re.sub(r"//[^@/]*@", "//", url).partition("?")[0]
    try:
        if is_amqp(url):
            return judge_version(name, _rabbitmq(url), RABBITMQ_FLOORS, where=where, risk="too old")
        waits: Any = {
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        with redis_client.connect(url, **waits) as client:
            server: Any = client.info("server")
        return judge_version(name, str(server["redis_version"]), REDIS_FLOORS, where=where, risk=OPEN)
    except (RedisError, KombuError, OSError, ValueError) as error:
        return Finding(name, "missing", where=where, note=f"is not reached: {error}")


def _rabbitmq(url: str) -> str:
    with Connection(url, connect_timeout=SECONDS) as connection:
        connection.connect()
        opened: Any = connection.connection
        return str(opened.server_properties.get("version", ""))
