"""A worker's `/metrics`: one endpoint for the parent and all its pool processes, which share their counters in files."""

from __future__ import annotations

import os

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import ValueClass


def _shares_files() -> bool:
    # prometheus_client itself decides by PROMETHEUS_MULTIPROC_DIR when it is imported; ask it what it decided.
    return str(ValueClass.__name__) == "MmapedValue"


def serve(port: int, host: str) -> None:
    """Answer Prometheus on this port of this address; port 0 means not at all."""
    if not port:
        return
    registry = REGISTRY
    if _shares_files():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_http_server(port, addr=host, registry=registry)


def forget_process(pid: int | None = None) -> None:
    """Take a pool process that ends out of the gauges."""
    if _shares_files():
        mark_process_dead(pid or os.getpid())  # type: ignore[no-untyped-call]
