"""How gunicorn runs the gateway: `gunicorn -c python:api.gunicorn api.wsgi:app`.

The names are gunicorn's settings and hooks. Importing the module reads no environment; gunicorn's master reads it on start.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import resource
from typing import TYPE_CHECKING, Any

import gevent
from gevent import events
from gunicorn import glogging, util
from prometheus_client import multiprocess, values

from api.http import malformed_requests
from api.server import gevent_psycopg2, lingering
from api.server.keepalive import idle_connections
from shared import logs
from shared.settings import settings, warn_of_former_names

if TYPE_CHECKING:
    from datetime import timedelta

worker_class = "gevent"
workers = min(4, os.cpu_count() or 1)
worker_connections = 4000  # most of them are event streams that wait
timeout = 60  # seconds without a heartbeat of the worker's event loop; requests may take longer
graceful_timeout = 30  # seconds that running uploads and long polls get to finish
keepalive = (
    5  # seconds for a request's head to arrive; idle connections may stay longer (`api.server.keepalive`)
)
limit_request_line = 8190
limit_request_fields = 100
control_socket_disable = True  # its one fixed path would be shared by every gunicorn on the machine

_MAX_OPEN_FILES = 16_384  # a connection is an open file
# Imported once in the master, so that workers share their memory pages. Nothing here may hold on to what gevent patches
# later (`sleep`, locks), as kombu and redis do; and no module of ours, since a HUP must load new code.
_PRELOADED_MODULES = (
    "flask",
    "flask_smorest",
    "marshmallow",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.postgresql.psycopg2",
)
_PROBE_PATHS = ("/livez", "/readyz", "/metrics")


class logger_class(glogging.Logger):  # type: ignore[misc]  # noqa: N801 (the name is gunicorn's; it has no types)
    """Writes gunicorn's messages, and one line for each request, as JSON like all our logs."""

    def setup(self, cfg: Any) -> None:
        """Send everything to the root logger."""
        super().setup(cfg)
        logs.configure(settings().log_level, "api")
        warn_of_former_names()
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            # The root logger writes JSON; gunicorn's own handlers would write every line a second time, as text.
            log.propagate = True
            log.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log a request when its last byte has been sent."""
        path = environ.get("PATH_INFO") or getattr(req, "path", "")
        extra = {
            "method": getattr(req, "method", None),
            "path": path,
            "status": int(str(resp.status).split(None, 1)[0]),
            "bytes": _body_bytes(resp, req),
            "seconds": round(request_time.total_seconds(), 6),
            "remote": environ.get("REMOTE_ADDR"),
            **environ.get("scenemill.context", {}),
        }
        level = logging.DEBUG if path in _PROBE_PATHS else logging.INFO
        self.access_log.log(level, "request_served", extra=extra)


def _body_bytes(resp: Any, req: Any) -> int:
    """Return the number of bytes in the response body; gunicorn does not count what sendfile sent."""
    bodiless = getattr(req, "method", "") == "HEAD" or str(resp.status).startswith(("204", "304"))
    return 0 if bodiless else int(getattr(resp, "sent", 0) or getattr(resp, "response_length", 0) or 0)


def on_starting(server: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Import in the master what every worker needs, so that the workers share it."""
    for name in _PRELOADED_MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector writes to what it inspects; each worker would then copy these shared pages


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Prepare a worker before gevent patches it."""
    events.subscribers.append(_skip_process_modules)
    gevent_psycopg2.install()
    # gunicorn has no hook for this page, which is HTML and echoes the malformed request.
    util.write_error = malformed_requests.write_error
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        most = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_MAX_OPEN_FILES, hard)
        # The usual soft limit of 1024 open files would refuse connections long before `worker_connections`.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def post_worker_init(worker: Any) -> None:
    """End event streams and long polls when the worker is told to stop, or they would delay its shutdown."""
    from api.tasks import change_poller  # noqa: PLC0415 (a worker loads the application when gevent has patched it)

    change_poller.stop_when(lambda: not worker.alive)
    gevent.spawn(idle_connections.close_when_stopping, worker)


def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Drain an unread body with a limit (gunicorn would read all of it), then wait for the connection's next request."""
    lingering.drain_body(req)
    idle_connections.wait_for_next_request(req, resp)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Drop a dead worker's gauges from the metrics; its counters stay in the sums."""
    # Without a shared folder there are no files of the dead process to mark.
    if values.ValueClass is not values.MutexValue:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _skip_process_modules(event: object) -> None:
    """Keep gevent from patching `subprocess` and `os`.

    Its version reaps children itself, so that the caller could no longer read their exit status and resource usage.
    """
    if isinstance(event, events.GeventWillPatchModuleEvent) and event.module_name in ("subprocess", "os"):
        raise events.DoNotPatch
