"""Request metrics and the text of `/metrics`, summed over all processes of the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_flask_exporter import PrometheusMetrics

from shared import metrics as _declared  # noqa: F401 (importing it declares our own metrics)

if TYPE_CHECKING:
    from flask import Request

_KEY = "metrics"


def register(app: Flask) -> None:
    """Count every request of the application by route; labels by path would grow without limit."""
    registry = CollectorRegistry()
    PrometheusMetrics(
        app,
        path=None,
        registry=registry,
        group_by=route,
        defaults_prefix="scenemill_api",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        excluded_paths=["^/metrics$", "^/livez$", "^/readyz$"],
    )
    app.extensions[_KEY] = registry


def exposition(app: Flask) -> Response:
    """Return all metrics in Prometheus' text format."""
    if _is_multiprocess():
        summed = CollectorRegistry()
        multiprocess.MultiProcessCollector(summed)  # type: ignore[no-untyped-call]
        body = generate_latest(summed)
    else:
        body = generate_latest(app.extensions[_KEY]) + generate_latest(REGISTRY)
    return Response(body, content_type=CONTENT_TYPE_LATEST)


def _is_multiprocess() -> bool:
    """Return whether prometheus_client was imported with PROMETHEUS_MULTIPROC_DIR set."""
    return values.ValueClass is not values.MutexValue


def route(request: Request) -> str:
    """Return the value of the label `route`; the exporter names the label after this function."""
    return request.url_rule.rule if request.url_rule else "unknown"
