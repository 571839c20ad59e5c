"""Probes and metrics: /livez, /readyz with the state of Postgres, Redis and storage, and /metrics."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

from api import problems
from api.http import request_metrics
from api.http.problem_documents import NOT_READY, problem_for_status
from api.http.request_context import config
from api.server import offload
from shared import redis_client
from shared.db import transaction
from shared.storage.factory import storage

if TYPE_CHECKING:
    from collections.abc import Callable

blueprint = Blueprint("health", __name__)

CHECK_SECONDS = 2.0  # for all checks together: an orchestrator restarts a process whose probe hangs


@blueprint.get("/livez")
def live() -> Response:
    """Report that this process answers."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> Response:
    """Report whether Postgres, Redis and storage are reachable, each with its state; 503 where one is not."""
    states = _run_checks(
        {"postgres": _check_postgres, "redis": _redis_check(config().redis_url), "storage": _check_storage}
    )
    if all(state["status"] == "ok" for state in states.values()):
        return jsonify({"status": "ok", "checks": states})
    failing = ", ".join(name for name, state in states.items() if state["status"] != "ok")
    problem = {
        **problem_for_status(503),
        "code": NOT_READY,
        "detail": f"Not ready: {failing}.",
    }
    return problems.problem_response({**problem, "type": f"/problems/{NOT_READY}", "checks": states})


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return all metrics in Prometheus' text format."""
    return request_metrics.exposition(current_app)


def _run_checks(checks: dict[str, Callable[[], object]]) -> dict[str, dict[str, Any]]:
    """Run all checks in parallel; those that exceed the probe's time limit count as timed out."""
    pool = ThreadPoolExecutor(len(checks))
    running = {name: pool.submit(_time_check, check) for name, check in checks.items()}
    wait(running.values(), timeout=CHECK_SECONDS)
    # Waiting for a hanging check would make the probe hang too.
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: _check_result(future) for name, future in running.items()}


def _time_check(check: Callable[[], object]) -> float:
    started = time.perf_counter()
    check()
    return round(time.perf_counter() - started, 4)


def _check_result(future: Future[float]) -> dict[str, Any]:
    if not future.done():
        return {"status": "timeout"}
    if future.exception() is not None:
        return {"status": "unreachable"}
    return {"status": "ok", "seconds": future.result()}


def _check_postgres() -> None:
    with transaction() as session:
        session.execute(text("SELECT 1"))


def _redis_check(url: str) -> Callable[[], object]:
    def ping() -> None:
        with redis_client.connect(
            # No retries: they would take longer than the probe may.
            url,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            client.ping()

    return ping


def _check_storage() -> None:
    files = storage()
    if files.blocking:
        offload.run(files.check_writable)
    else:
        files.check_writable()  # network I/O yields to other greenlets
