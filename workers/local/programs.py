"""The programs of a local stack: how each is started, what it is told, what it waits for, and when it is ready."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workers.local import postgres as pg
from workers.local import redis as rd
from workers.local.fork_client import ForkClient
from workers.local.ports import LOOPBACK, is_open
from workers.local.processes import child_environment
from workers.local.services import Service
from workers.local.stack import FLOWER_USER, QUEUES
from workers.local.state import STACK_VARIABLE

if TYPE_CHECKING:
    from workers.local.stack import Stack

FORKSERVER = "forkserver"
# What every worker needs, with what Celery would import only when it starts one, or a pool process of it.
PRELOADED_MODULES = (
    "workers.app", "workers.consumer",
    "celery.bin.celery", "celery.apps.beat", "celery.apps.worker", "celery.loaders.app",
    "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log", "celery.concurrency.prefork",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer", "celery.worker.strategy",
    "billiard.popen_fork", "billiard.sharedctypes", "cffi.cparser", "kombu.transport.redis",
)  # fmt: skip
# What is read when a worker's modules are imported.
IMPORT_ENVIRONMENT = {
    "CELERY_WORKER_REVOKES_MAX": "2000",
    # Containers and fresh machines are root's; JSON is all that our workers accept.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a name of our own in it, closed to others)
# What uses the servers ends first, all of it together: a job that is taken meanwhile waits for the next start.
STOP_FIRST, STOP_LAST = 1, 2
# How long what runs may take to end or to be handed back, before it is killed and its lease runs out instead.
DRAIN_SECONDS = 20.0


def all_services(stack: Stack) -> tuple[Service, ...]:
    """Return all programs."""
    return (
        _postgres(stack),
        _redis(stack),
        *((_forkserver(stack),) if ForkClient.possible else ()),
        _one_shot(stack, "migrations", "shared.migrations", after="postgres"),
        _accounts(stack),
        _api(stack),
        *(_worker(stack, queue) for queue in QUEUES),
        _beat(stack),
        _flower(stack),
    )


def _environment(stack: Stack, **more: str) -> dict[str, str]:
    """Return a program's environment: ours, which may name an LLM, with everything local put over it."""
    folder = stack.options.folder
    local = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # our working folder holds data: nothing there is a module
        STACK_VARIABLE: str(folder),
        "SCENEMILL_DATABASE_URL": stack.postgres.url(),
        "SCENEMILL_BROKER_URL": stack.broker_url,
        "SCENEMILL_REDIS_URL": stack.redis_url,
        "SCENEMILL_STORAGE_URL": stack.options.storage_url or str(folder / "storage"),
        "SCENEMILL_STORAGE_CACHE_DIR": str(folder / "cache"),
        "SCENEMILL_WORK_DIR": str(folder / "work"),
    }
    return child_environment(**local, **more)


def _metrics_folder(stack: Stack, name: str) -> str:
    """Make the folder in which a program's processes share their counters. Those of an earlier run are gone."""
    folder = metrics_root(stack.options.folder) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return str(folder)


def _postgres(stack: Stack) -> Service:
    server = stack.postgres
    return Service(
        name="postgres",
        argv=tuple(server.argv()),
        cwd=stack.options.folder,
        env={STACK_VARIABLE: str(stack.options.folder)},
        ready=server.ready,
        stop_signal=pg.STOP_SIGNAL,
        death_signal=pg.DEATH_SIGNAL,
        owner=server.owner,
        stop_order=STOP_LAST,
        grace=10,
    )


def _redis(stack: Stack) -> Service:
    return Service(
        name="redis",
        argv=tuple(stack.redis.argv()),
        cwd=stack.options.folder,
        env={STACK_VARIABLE: str(stack.options.folder)},
        ready=stack.redis.ready,
        stop_signal=rd.STOP_SIGNAL,
        death_signal=rd.DEATH_SIGNAL,
        stop_order=STOP_LAST,
    )


def _one_shot(stack: Stack, name: str, *module: str, after: str, hides_output: bool = False) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-m", *module),
        cwd=stack.options.folder,
        env=_environment(stack),
        after=(after,),
        one_shot=True,
        hides_output=hides_output,
    )


def _accounts(stack: Stack) -> Service:
    """Make the first API key. The program prints it, and a log is no place for a key."""
    module = ("shared.accounts", "ensure-key", "--file", str(stack.key_file))
    return _one_shot(stack, "accounts", *module, after="migrations", hides_output=True)


def _api(stack: Stack) -> Service:
    bind = f"{LOOPBACK}:{stack.api_port}"
    options = (
        "-k",
        "gevent",
        "-c",
        "python:api.gunicorn",
        "--graceful-timeout",
        "8",
        "--keep-alive",
        "2",  # a connection that rests holds a Ctrl-C up for no longer
        "--bind",
        bind,
        "api.wsgi:app",
    )
    return Service(
        name="api",
        argv=(sys.executable, "-m", "gunicorn", *options),
        cwd=stack.options.folder,
        env=_environment(
            stack,
            PROMETHEUS_MULTIPROC_DIR=_metrics_folder(stack, "api"),
            SCENEMILL_TOKEN_SECRETS=stack.token_secret,
        ),
        after=("migrations", "redis"),
        ready=lambda: answers_ok(f"{stack.api}/readyz"),
        stop_order=STOP_FIRST,
        grace=10,
    )


def _forkserver(stack: Stack) -> Service:
    """Start what the workers and beat are forked from: they share its memory, and start at once."""
    return Service(
        name=FORKSERVER,
        argv=(sys.executable, "-m", "workers.local.fork_server", *PRELOADED_MODULES),
        cwd=stack.options.folder,
        # Whether to count in files is decided on import too; where, by each that counts.
        env=_environment(
            stack, PROMETHEUS_MULTIPROC_DIR=_metrics_folder(stack, FORKSERVER), **IMPORT_ENVIRONMENT
        ),
        launch=stack.forks.start_server,
        ready=stack.forks.ready,
        stop_order=STOP_LAST,
    )


def _with_fork(stack: Stack, service: Service) -> Service:
    """Have a program forked where that is possible."""
    if not ForkClient.possible:
        return service
    return replace(service, launch=stack.forks.fork, after=(*service.after, FORKSERVER))


def _worker(stack: Stack, queue: str) -> Service:
    # Control has two: while webhooks wait for a slow receiver, what dead workers held is still taken back.
    slots = {"renders": stack.options.renders, "control": 2}.get(queue, 1)
    name = f"worker-{queue}"
    options = ("--without-gossip", "--without-mingle", "-c", str(slots), "-n", f"{queue}@%h")
    worker = Service(
        name=name,
        argv=(*_celery("worker", quiet=True), "-Q", queue, *options),
        cwd=stack.options.folder,
        env=_environment(
            stack,
            **IMPORT_ENVIRONMENT,
            PROMETHEUS_MULTIPROC_DIR=_metrics_folder(stack, name),
            SCENEMILL_WORKER_METRICS_PORT=str(stack.metrics_ports[queue]),
        ),
        after=("migrations", "redis"),
        # It opens this port when it has begun to take messages.
        ready=lambda: is_open(stack.metrics_ports[queue]),
        stop_order=STOP_FIRST,
        grace=DRAIN_SECONDS,
    )
    return _with_fork(stack, worker)


def _beat(stack: Stack) -> Service:
    schedule = str(stack.options.folder / "beat-schedule")
    beat = Service(
        name="beat",
        # Without a pid file: a stale one would keep it from starting, and our lock is enough.
        argv=(*_celery("beat", app="workers.beat", quiet=True), "--schedule", schedule, "--pidfile="),
        cwd=stack.options.folder,
        env=_environment(stack),
        after=("migrations", "redis"),
        ready=lambda: True,
        stop_order=STOP_FIRST,
    )
    return _with_fork(stack, beat)


def _flower(stack: Stack) -> Service:
    auth = f"{FLOWER_USER}:{stack.flower_password}"
    return Service(
        name="flower",
        argv=(
            # It only watches: without the tasks, and all that they import, it is there two seconds sooner.
            *_celery("flower", app="shared.broker"),
            f"--address={LOOPBACK}",
            f"--port={stack.flower_port}",
            "--logging=warning",
            # 4 kB each. What beat sends fills the 100,000 that Flower keeps by itself, and 400 MB, within a day.
            "--max-tasks=10000",
        ),
        cwd=stack.options.folder,
        # In the environment, since everyone can read a command line.
        env=_environment(stack, FLOWER_BASIC_AUTH=auth),
        # It asks the workers who they are when it starts: one must be there to answer.
        after=("worker-control",),
        ready=lambda: is_open(stack.flower_port),
        stop_order=STOP_FIRST,
    )


def _celery(command: str, *, app: str = "workers.app", quiet: bool = False) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", *(("--quiet",) if quiet else ()), "-A", app, command)


def answers_ok(url: str) -> bool:
    """Tell whether an address of our own answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 (our own loopback address)
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def metrics_root(data: Path) -> Path:
    """Return where a stack's programs count, and make it: in memory where there is such a place, else among its data.

    A counter in a file on a full disk would kill its process (SIGBUS).
    """
    mark = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    for folder in (SHARED_MEMORY / f"scenemill-{mark}", data / "metrics"):
        if os.access(folder.parent, os.W_OK):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():  # nobody else made it before us
                return folder
    raise PermissionError(f"{data} is not writable.")
