"""A worker's app with our settings, whose broker stops right when the first message was taken, and goes on a moment later."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from celery import Celery, signals

from shared.celery_config import celery_settings
from shared.settings import settings

SOCKET_SECONDS, STOPPED_SECONDS = 0.3, 0.6

config = celery_settings(settings())
config["broker_transport_options"]["socket_timeout"] = SOCKET_SECONDS
app = Celery("freezing", set_as_current=False)
app.config_from_object(
    {**config, "worker_send_task_events": False, "task_routes": {}, "task_default_queue": "scripts"}
)


@app.task(name="note")
def note(text: str) -> None:
    """Tell that it was done."""
    print(f"done {text}", flush=True)  # noqa: T201 (the test reads it)


@signals.task_received.connect
def _stop(request: Any, **_: object) -> None:
    if "freeze" not in request.args:
        return
    redis = int(os.environ["REDIS_PID"])
    os.kill(redis, signal.SIGSTOP)
    threading.Timer(STOPPED_SECONDS, os.kill, (redis, signal.SIGCONT)).start()
