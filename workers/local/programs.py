"""The programs of the local stack: command line, environment, dependencies, and how to tell that each is ready."""

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
# What every worker imports, including what Celery imports only when a worker or a pool process starts.
PRELOADED_MODULES = (
    "workers.app", "workers.consumer",
    "celery.bin.celery", "celery.apps.beat", "celery.apps.worker", "celery.loaders.app",
    "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log", "celery.concurrency.prefork",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer", "celery.worker.strategy",
    "billiard.popen_fork", "billiard.sharedctypes", "cffi.cparser", "kombu.transport.redis",
)  # fmt: skip
# Variables that are read when these modules are imported.
IMPORT_ENVIRONMENT = {
    "CELERY_WORKER_REVOKES_MAX": "2000",
    # Containers run as root, which Celery warns of because of pickle; our workers accept only JSON.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (only a private folder in it is used)
# Programs that use the servers stop first, all together; jobs accepted meanwhile wait for the next start.
STOP_FIRST, STOP_LAST = 1, 2
# For running work to end or be handed back; then it is killed, and continues only once its lease has run out.
DRAIN_SECONDS = 20.0


def all_services(stack: Stack) -> tuple[Service, ...]:
    """Return all programs as services."""
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
    """Return a program's environment: ours, which may name an LLM, with the local servers over it."""
    folder = stack.options.folder
    local = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # the working folder holds data: a file there must not be imported
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
    """Create an empty folder in which a program's processes share their counters."""
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
    """Create the first API key. The program prints it, which must not reach the log."""
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
        "2",  # idle connections delay Ctrl-C for this long
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
            SCENEMILL_FLOWER_URL=stack.flower,
            SCENEMILL_DEMO_DIR=str(stack.options.folder / "demo"),
        ),
        after=("migrations", "redis"),
        ready=lambda: answers_ok(f"{stack.api}/readyz"),
        stop_order=STOP_FIRST,
        grace=10,
    )


def _forkserver(stack: Stack) -> Service:
    """Return the fork server: workers and beat are forked from it, share its memory and start at once."""
    return Service(
        name=FORKSERVER,
        argv=(sys.executable, "-m", "workers.local.fork_server", *PRELOADED_MODULES),
        cwd=stack.options.folder,
        # prometheus_client decides on import whether to count in files; each program then sets its own folder.
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
    # Two for control: while one waits for slow webhook receivers, the other reclaims the work of dead workers.
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
        # The worker opens this port once it consumes messages.
        ready=lambda: is_open(stack.metrics_ports[queue]),
        stop_order=STOP_FIRST,
        grace=DRAIN_SECONDS,
    )
    return _with_fork(stack, worker)


def _beat(stack: Stack) -> Service:
    schedule = str(stack.options.folder / "beat-schedule")
    beat = Service(
        name="beat",
        # No pid file: a stale one would keep beat from starting, and the folder's lock is enough.
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
            # Flower needs no task: without their imports it starts two seconds sooner.
            *_celery("flower", app="shared.broker"),
            f"--address={LOOPBACK}",
            f"--port={stack.flower_port}",
            "--logging=warning",
            # 4 kB each: Flower's default of 100,000 tasks would take 400 MB, which beat's tasks fill within a day.
            "--max-tasks=10000",
        ),
        cwd=stack.options.folder,
        # Not on the command line, which every user of the machine can read.
        env=_environment(stack, FLOWER_BASIC_AUTH=auth),
        # Flower asks the workers for their details once, when it starts: one must be there to answer.
        after=("worker-control",),
        ready=lambda: is_open(stack.flower_port),
        stop_order=STOP_FIRST,
    )


def _celery(command: str, *, app: str = "workers.app", quiet: bool = False) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", *(("--quiet",) if quiet else ()), "-A", app, command)


def answers_ok(url: str) -> bool:
    """Return whether one of our own URLs answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 (our own loopback address)
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def metrics_root(data: Path) -> Path:
    """Create and return the folder of the counters: in memory if possible, else in the data folder.

    A counter in a file on a full disk would kill its process (SIGBUS).
    """
    mark = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    for folder in (SHARED_MEMORY / f"scenemill-{mark}", data / "metrics"):
        if os.access(folder.parent, os.W_OK):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():  # another user may have created it before us
                return folder
    raise PermissionError(f"{data} is not writable.")
