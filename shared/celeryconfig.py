"""How Celery runs here, as one dict made of the settings. The reasons stand in docs/adr/0001-postgres-is-the-queue.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu import Exchange, Queue

from shared.names import QUEUE_OF, QueueName, TaskName

if TYPE_CHECKING:
    from shared.settings import Settings


def celery_settings(config: Settings) -> dict[str, Any]:
    """Return Celery's configuration.

    No result backend: Postgres keeps the results, and a backend that is away would hold publishing up for 19 s.
    Acks come early: a lease in Postgres brings back what a dead worker held, late acks would only add duplicates.
    """
    return {
        "broker_url": config.broker_url,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "task_create_missing_queues": False,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QueueName],
        "task_default_queue": QueueName.CONTROL,
        "task_routes": {name: {"queue": QUEUE_OF[name]} for name in TaskName},
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
        "broker_connection_timeout": 3,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": _transport(config.broker_url),
        "worker_max_tasks_per_child": 200,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": True,
        "enable_utc": True,
    }


def _transport(url: str) -> dict[str, Any]:
    if not url.startswith(("redis", "sentinel")):
        return {}
    return {
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "max_retries": 1,
        "global_keyprefix": "scenemill:",
        # Acks come early, so that nothing stays unacknowledged for long; this only bounds a crash's leftovers.
        "visibility_timeout": 3600,
    }
