"""What the control plane is measured against: the least that takes a job and has it done, with nothing promised.

A bare Flask view that inserts one row and publishes one message, run by the gateway's own gunicorn settings; and a bare
Celery task that does nothing, run by the very settings that our workers have.
"""

from __future__ import annotations

import json
import uuid
from functools import lru_cache
from typing import Any

from celery import Celery, signals
from flask import Flask, jsonify, request
from kombu import Exchange, Queue
from sqlalchemy import Engine, create_engine, text

from shared.celery_config import celery_settings
from shared.settings import settings
from workers import metrics

QUEUE, TASK = "bare", "bare.noop"
TABLE = "CREATE TABLE IF NOT EXISTS bare_rows (id uuid PRIMARY KEY, body jsonb NOT NULL, at timestamptz DEFAULT now())"
INSERT = text("INSERT INTO bare_rows (id, body) VALUES (:id, CAST(:body AS jsonb)) RETURNING at")

app = Celery("bare", set_as_current=False)


@app.on_configure.connect
def _configure(sender: Celery, **_: object) -> None:
    """Take our settings, with one queue of its own instead of ours."""
    queues = {
        "task_queues": [Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE)],
        "task_default_queue": QUEUE,
        "task_routes": {},
    }
    sender.config_from_object({**celery_settings(settings()), **queues})


@app.task(name=TASK)
def noop(_: str) -> None:
    """Do nothing."""


@signals.worker_ready.connect
def _tell(**_: object) -> None:
    metrics.serve(settings().worker_metrics_port, settings().worker_metrics_host)


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return create_engine(settings().database_url, pool_size=10, max_overflow=0)


def create_app() -> Flask:
    """Return the application."""
    bare = Flask("bare")

    @bare.post("/jobs")
    def take() -> tuple[Any, int]:
        job_id, body = uuid.uuid4(), json.dumps(request.get_json())
        with _engine().begin() as connection:
            at = connection.scalar(INSERT, {"id": job_id, "body": body})
        app.send_task(TASK, args=[str(job_id)], task_id=str(job_id))
        return jsonify(task_id=str(job_id), status="queued", created_at=at.isoformat()), 202

    return bare
