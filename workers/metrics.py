"""A worker's `/metrics`: one endpoint for the parent and its pool processes, which share counters in files."""

from __future__ import annotations

import os

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import ValueClass


def _shares_files() -> bool:
    # prometheus_client reads PROMETHEUS_MULTIPROC_DIR when it is imported: ask what it decided then, not the variable now.
    return str(ValueClass.__name__) == "MmapedValue"


def serve(port: int, host: str) -> None:
    """Serve metrics on this address and port; port 0 serves none."""
    if not port:
        return
    registry = REGISTRY
    if _shares_files():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_http_server(port, addr=host, registry=registry)


def forget_process(pid: int | None = None) -> None:
    """Remove an ended pool process from the gauges."""
    if _shares_files():
        mark_process_dead(pid or os.getpid())  # type: ignore[no-untyped-call]
