"""The local stack as a plan: which programs, on which ports, with which environment, in which order."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.local import postgres as pg
from workers.local import redis as rd
from workers.local.ports import LOOPBACK, free_port, is_open
from workers.local.processes import inherited
from workers.local.services import Service
from workers.local.state import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

API_PORT = 8000
FLOWER_PORT = 5555
FLOWER_USER = "scenemill"
QUEUES = ("scripts", "renders", "control")
MEMORY = Path("/dev/shm")  # noqa: S108 (a name of our own in it, closed to others)
# What uses the servers ends first, all of it together: a job that is taken meanwhile waits for the next start.
FIRST, LAST = 1, 2
# How long what runs may take to end or to be handed back, before it is killed and its lease runs out instead.
DRAIN_SECONDS = 20.0


@dataclass(frozen=True)
class Wish:
    """What the caller of `up` asks for. A port of None is any free one."""

    folder: Path
    api_port: int | None = API_PORT
    flower_port: int | None = FLOWER_PORT
    renders: int = 2
    # Servers of others, in place of the Redis that comes along.
    broker_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    # Another place for files than a folder of this one's: `s3://bucket/prefix`.
    storage_url: str | None = None


@dataclass(frozen=True)
class Stack:
    """A stack whose ports and secrets are decided, ready to be started."""

    wish: Wish
    postgres: pg.Postgres
    redis: rd.Redis
    api_port: int
    flower_port: int
    flower_password: str
    token_secret: str
    metrics_ports: dict[str, int]

    @property
    def api(self) -> str:
        """Return the API's address."""
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def flower(self) -> str:
        """Return Flower's address."""
        return f"http://{LOOPBACK}:{self.flower_port}"

    @property
    def broker_url(self) -> str:
        """Return where Celery's messages go."""
        return self.wish.broker_url or self.redis.url(0)

    @property
    def redis_url(self) -> str:
        """Return where is counted and remembered."""
        return self.wish.redis_url or self.redis.url(1)

    @property
    def key_file(self) -> Path:
        """Return the file that holds the first API key."""
        return self.wish.folder / "api.key"

    def services(self) -> tuple[Service, ...]:
        """Return all programs."""
        return (
            self._postgres(),
            self._redis(),
            self._once("migrations", "shared.migrations", after="postgres"),
            self._accounts(),
            self._api(),
            *(self._worker(queue) for queue in QUEUES),
            self._beat(),
            self._flower(),
        )

    def addresses(self, pids: Callable[[str], list[int]]) -> dict[str, Any]:
        """Return what `up --json` prints when all is ready."""
        return {
            "api": self.api,
            "flower": self.flower,
            "flower_auth": f"{FLOWER_USER}:{self.flower_password}",
            "api_key": self.key_file.read_text().strip(),
            "database_url": self.postgres.url(),
            "redis_url": self.redis_url,
            "broker_url": self.broker_url,
            "metrics": {
                "api": f"{self.api}/metrics",
                "workers": {
                    name: f"http://{LOOPBACK}:{port}/metrics" for name, port in self.metrics_ports.items()
                },
            },
            "data": str(self.wish.folder),
            "log": str(self.wish.folder / "logs" / "scenemill.log"),
            "pids": {
                "supervisor": [os.getpid()],
                "api": pids("api"),
                "workers": {queue: pids(f"worker-{queue}") for queue in QUEUES},
                **{name: pids(name) for name in ("beat", "flower", "postgres", "redis")},
            },
        }

    def _environment(self, **more: str) -> dict[str, str]:
        """Return a program's environment: ours, which may name an LLM, with everything local put over it."""
        folder = self.wish.folder
        local = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONSAFEPATH": "1",  # our working folder holds data: nothing there is a module
            MARK: str(folder),
            "SCENEMILL_DATABASE_URL": self.postgres.url(),
            "SCENEMILL_BROKER_URL": self.broker_url,
            "SCENEMILL_REDIS_URL": self.redis_url,
            "SCENEMILL_STORAGE_URL": self.wish.storage_url or str(folder / "storage"),
            "SCENEMILL_STORAGE_CACHE_DIR": str(folder / "cache"),
            "SCENEMILL_WORK_DIR": str(folder / "work"),
        }
        return inherited(**local, **more)

    def _metrics_folder(self, name: str) -> str:
        """Make the folder in which a program's processes share their counters. Those of an earlier run are gone."""
        folder = metrics_root(self.wish.folder) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return str(folder)

    def _postgres(self) -> Service:
        server = self.postgres
        return Service(
            name="postgres",
            argv=tuple(server.argv()),
            cwd=self.wish.folder,
            env={MARK: str(self.wish.folder)},
            ready=server.ready,
            stop_signal=pg.STOP_SIGNAL,
            death_signal=pg.DEATH_SIGNAL,
            owner=server.owner,
            stop_order=LAST,
            grace=10,
        )

    def _redis(self) -> Service:
        return Service(
            name="redis",
            argv=tuple(self.redis.argv()),
            cwd=self.wish.folder,
            env={MARK: str(self.wish.folder)},
            ready=self.redis.ready,
            stop_signal=rd.STOP_SIGNAL,
            death_signal=rd.DEATH_SIGNAL,
            stop_order=LAST,
        )

    def _once(self, name: str, *module: str, after: str, secretive: bool = False) -> Service:
        return Service(
            name=name,
            argv=(sys.executable, "-m", *module),
            cwd=self.wish.folder,
            env=self._environment(),
            after=(after,),
            once=True,
            secretive=secretive,
        )

    def _accounts(self) -> Service:
        """Make the first API key. The program prints it, and a log is no place for a key."""
        module = ("shared.accounts", "ensure-key", "--file", str(self.key_file))
        return self._once("accounts", *module, after="migrations", secretive=True)

    def _api(self) -> Service:
        bind = f"{LOOPBACK}:{self.api_port}"
        options = (
            "-k",
            "gevent",
            "-c",
            "python:api.gunicorn",
            "--graceful-timeout",
            "8",
            "--keep-alive",
            "2",  # a client that rests holds a Ctrl-C up for no longer
            "--bind",
            bind,
            "api.wsgi:app",
        )
        return Service(
            name="api",
            argv=(sys.executable, "-m", "gunicorn", *options),
            cwd=self.wish.folder,
            env=self._environment(
                PROMETHEUS_MULTIPROC_DIR=self._metrics_folder("api"),
                SCENEMILL_TOKEN_SECRETS=self.token_secret,
            ),
            after=("migrations", "redis"),
            ready=lambda: answers(f"{self.api}/readyz"),
            stop_order=FIRST,
            grace=10,
        )

    def _worker(self, queue: str) -> Service:
        # Control has two: while webhooks wait for a slow receiver, what dead workers held is still taken back.
        slots = {"renders": self.wish.renders, "control": 2}.get(queue, 1)
        name = f"worker-{queue}"
        options = ("--without-gossip", "--without-mingle", "-c", str(slots), "-n", f"{queue}@%h")
        return Service(
            name=name,
            argv=(*_celery("worker", quiet=True), "-Q", queue, *options),
            cwd=self.wish.folder,
            env=self._environment(
                CELERY_WORKER_REVOKES_MAX="2000",
                # Containers and fresh machines are root's; JSON is all that our workers accept.
                PYTHONWARNINGS="ignore:You're running the worker with superuser privileges",
                PROMETHEUS_MULTIPROC_DIR=self._metrics_folder(name),
                SCENEMILL_WORKER_METRICS_PORT=str(self.metrics_ports[queue]),
            ),
            after=("migrations", "redis"),
            # It opens this port when it has begun to take messages.
            ready=lambda: is_open(self.metrics_ports[queue]),
            stop_order=FIRST,
            grace=DRAIN_SECONDS,
        )

    def _beat(self) -> Service:
        schedule = str(self.wish.folder / "beat-schedule")
        return Service(
            name="beat",
            # Without a pid file: a stale one would keep it from starting, and our lock is enough.
            argv=(*_celery("beat", app="workers.beat", quiet=True), "--schedule", schedule, "--pidfile="),
            cwd=self.wish.folder,
            env=self._environment(),
            after=("migrations", "redis"),
            ready=lambda: True,
            stop_order=FIRST,
        )

    def _flower(self) -> Service:
        auth = f"{FLOWER_USER}:{self.flower_password}"
        return Service(
            name="flower",
            argv=(
                # It only watches: without the tasks, and all that they import, it is there two seconds sooner.
                *_celery("flower", app="shared.broker"),
                f"--address={LOOPBACK}",
                f"--port={self.flower_port}",
                "--logging=warning",
            ),
            cwd=self.wish.folder,
            # In the environment, since everyone can read a command line.
            env=self._environment(FLOWER_BASIC_AUTH=auth),
            # It asks the workers who they are when it starts: one must be there to answer.
            after=("worker-control",),
            ready=lambda: is_open(self.flower_port),
            stop_order=FIRST,
        )


def _celery(command: str, *, app: str = "workers.app", quiet: bool = False) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", *(("--quiet",) if quiet else ()), "-A", app, command)


def answers(url: str) -> bool:
    """Tell whether an address of our own answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 (our own loopback address)
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def default_renders() -> int:
    """Return how many segments to render at a time: two keep two cores busy; more cores help x264 within one."""
    return max(2, min(8, (os.cpu_count() or 1) // 2))


def decide(wish: Wish) -> Stack:
    """Decide ports and secrets, and prepare the servers' folders."""
    folder = wish.folder
    for name in ("storage", "work"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    taken = _distinct_ports(5)
    return Stack(
        wish=wish,
        postgres=pg.prepare(folder, taken[0]),
        redis=rd.prepare(folder, taken[1]),
        api_port=free_port() if wish.api_port is None else wish.api_port,
        flower_port=free_port() if wish.flower_port is None else wish.flower_port,
        flower_password=pg.kept_secret(folder / "flower.password"),
        token_secret=pg.kept_secret(folder / "token.secret"),
        metrics_ports=dict(zip(QUEUES, taken[2:], strict=True)),
    )


def metrics_root(data: Path) -> Path:
    """Return where a stack's programs count, and make it: in memory where there is such a place, else among its data.

    A counter in a file on a full disk would kill its process (SIGBUS).
    """
    mark = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    for folder in (MEMORY / f"scenemill-{mark}", data / "metrics"):
        if os.access(folder.parent, os.W_OK):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():  # nobody else made it before us
                return folder
    raise PermissionError(f"{data} is not writable.")


def _distinct_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)
