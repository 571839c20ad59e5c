"""How gunicorn runs the gateway: `gunicorn -c python:api.gunicorn api.wsgi:app`.

Its names are gunicorn's settings and hooks. Importing it reads no environment: gunicorn's master does that when it starts.
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
worker_connections = 4000  # most of them wait for events
timeout = 60  # seconds without a sign of life from the worker's loop, not of a request
graceful_timeout = 30  # an upload or a long poll that is under way may end
keepalive = 5  # for a head to arrive; who has been answered may rest for longer (`api.server.keepalive`)
limit_request_line = 8190
limit_request_fields = 100
control_socket_disable = True  # one fixed path for all that run on a machine

_MAX_OPEN_FILES = 16_384  # a connection is an open file
# What the workers share, as pages that none of them has written to. None of it keeps what gevent replaces (a `sleep`, a lock
# that is held while somebody waits), as kombu and redis do; none of it is ours, which each HUP reads anew.
_PRELOADED_MODULES = (
    "flask",
    "flask_smorest",
    "marshmallow",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.postgresql.psycopg2",
)
_PROBE_PATHS = ("/livez", "/readyz", "/metrics")


class logger_class(glogging.Logger):  # type: ignore[misc]  # noqa: N801 (the name is gunicorn's; it has no types)
    """Writes gunicorn's own lines, and one for each request, the way all lines are written here."""

    def setup(self, cfg: Any) -> None:
        """Send everything to the root logger."""
        super().setup(cfg)
        logs.configure(settings().log_level, "api")
        warn_of_former_names()
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
            log.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write a request's line, when its last byte is sent."""
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
    """Return how many bytes the body had; what went by sendfile gunicorn has not counted."""
    bodiless = getattr(req, "method", "") == "HEAD" or str(resp.status).startswith(("204", "304"))
    return 0 if bodiless else int(getattr(resp, "sent", 0) or getattr(resp, "response_length", 0) or 0)


def on_starting(server: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Import once, in the master, what every worker needs."""
    for name in _PRELOADED_MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collector that looks at it writes to it, and each worker would have a copy of its own then


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Prepare a worker before gevent patches it."""
    events.subscribers.append(_skip_process_modules)
    gevent_psycopg2.install()
    util.write_error = malformed_requests.write_error
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        most = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_MAX_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def post_worker_init(worker: Any) -> None:
    """End streams and long polls when the worker is told to end: nobody would wait for them to end by themselves."""
    from api.tasks import change_poller  # noqa: PLC0415 (a worker loads the application when gevent has patched it)

    change_poller.stop_when(lambda: not worker.alive)
    gevent.spawn(idle_connections.close_when_stopping, worker)


def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Leave nothing of a body that the application has not read to gunicorn, which would read all of it; then rest."""
    lingering.drain_body(req)
    idle_connections.wait_for_next_request(req, resp)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 (gunicorn's signature)
    """Let a dead worker's gauges go; its counters stay in the sums."""
    if values.ValueClass is not values.MutexValue:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _skip_process_modules(event: object) -> None:
    """Keep gevent from replacing `subprocess`, and `os` whose `close` would come too late for it.

    Its own version reaps children by itself, and whoever started one here reaps it to learn what it cost.
    """
    if isinstance(event, events.GeventWillPatchModuleEvent) and event.module_name in ("subprocess", "os"):
        raise events.DoNotPatch
