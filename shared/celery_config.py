"""Celery's configuration, built from the settings. docs/adr/0001-postgres-is-the-queue.md gives the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu import Exchange, Queue

from shared import redis_client
from shared.names import TASK_QUEUES, QueueName, TaskName

if TYPE_CHECKING:
    from shared.settings import Settings

AMQP_SCHEMES = ("amqp://", "amqps://", "pyamqp://")
MAX_PRIORITY = 9  # RabbitMQ's highest; more than ten levels cost it memory


def celery_settings(config: Settings) -> dict[str, Any]:
    """Return Celery's configuration.

    There is no result backend: results are in Postgres, and an unreachable backend would delay publishing by 19 s.
    """
    return {
        **_broker_settings(config.broker_url),
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # The sweeper queues the job again; a redelivery by the broker would run it twice.
        "task_reject_on_worker_lost": False,
        # A misspelt queue is an error then, and not a queue that no worker reads.
        "task_create_missing_queues": False,
        "task_default_queue": QueueName.CONTROL,
        "task_routes": {name: {"queue": TASK_QUEUES[name]} for name in TaskName},
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
        "broker_connection_timeout": 3,
        "broker_connection_retry_on_startup": True,
        # For ever: a worker that gives up while Redis restarts would have to be restarted by hand.
        "broker_connection_max_retries": None,
        "worker_consumer": "workers.consumer:Consumer",
        "worker_pool": "workers.pool:TaskPool",
        # Bounds what leaks in native libraries.
        "worker_max_tasks_per_child": 200,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": True,
        "enable_utc": True,
    }


def is_amqp(url: str) -> bool:
    """Return whether the broker speaks AMQP, as RabbitMQ does."""
    return url.startswith(AMQP_SCHEMES)


def priority_for(url: str, level: int) -> int:
    """Return the message priority for a level: Redis takes the lowest number first, RabbitMQ the highest."""
    return MAX_PRIORITY - level if is_amqp(url) else level


def _broker_settings(url: str) -> dict[str, Any]:
    return _rabbitmq_settings(url) if is_amqp(url) else _redis_settings(url)


def _redis_settings(url: str) -> dict[str, Any]:
    """Return the settings for Redis, a single server or a group behind Sentinels.

    Messages are acknowledged early: a lease in Postgres brings back what a dead worker held, so late acknowledgements
    would only add duplicates.
    """
    timeouts = {"socket_timeout": 5, "socket_connect_timeout": 3, "socket_keepalive": True}
    transport = {
        **timeouts,
        "health_check_interval": 5,
        "max_retries": 1,
        "global_keyprefix": "scenemill:",
        # Acknowledged early, nothing stays unacknowledged for long; this only bounds what a crash leaves behind.
        "visibility_timeout": 3600,
    }
    if group := redis_client.parse_sentinel_url(url):
        url = group.kombu_url()
        transport |= {"master_name": group.name, "sentinel_kwargs": group.sentinel_options(**timeouts)}
    return {
        "broker_url": url,
        "broker_transport_options": transport,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QueueName],
        "task_acks_late": False,
        # A worker asks for as many messages as it has free slots, counted by Celery alone. kombu's own count, which a
        # multiplier would enable, never forgets a message whose acknowledgement failed: after a few of those the worker
        # would ask for none.
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 0,
    }


def _rabbitmq_settings(url: str) -> dict[str, Any]:
    """Return the settings for RabbitMQ.

    Messages are acknowledged late, since unacknowledged ones are all that limits what a worker receives: with early
    acknowledgement it would hoard messages while other workers stand idle. A second delivery finds nothing to claim.
    """
    return {
        "broker_url": url,
        "broker_transport_options": {
            "confirm_publish": True,  # without it, what is written into a dead connection counts as published
            "read_timeout": 10,
            "write_timeout": 5,
        },
        "broker_heartbeat": 10,
        "task_queues": [
            Queue(name, Exchange(name), routing_key=name, max_priority=MAX_PRIORITY) for name in QueueName
        ],
        "task_acks_late": True,
        "worker_disable_prefetch": False,
        "worker_prefetch_multiplier": 1,
    }
