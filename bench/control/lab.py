"""A Postgres, a Redis and whatever runs on them, for as long as a `with` lasts: nothing is left running, however it ends.

Programs are started as the local stack starts them, each on a leash: they die with this process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from bench.control import floor
from shared import accounts, db
from shared.migrations.run import migrate
from workers.local import processes, servers
from workers.local import redis as rd
from workers.local.ports import LOOPBACK, free_port, is_open

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from uuid import UUID

READY_SECONDS = 60.0
UNLIMITED = {"SCENEMILL_RATE_LIMIT": "10000000/minute", "SCENEMILL_ADDRESS_RATE_LIMIT": "10000000/minute"}
SILENT = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}


class Lab:
    """The servers, a migrated database, and a way to run programs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._engine: Engine | None = None
        self.database_url = ""
        self.redis = rd.prepare(folder / "redis", free_port())
        self._redis: subprocess.Popen[bytes] | None = None
        self._logs = 0

    def __enter__(self) -> Self:
        try:
            self.database_url = self._stack.enter_context(servers.postgres(self.folder / "postgres"))
            self._stack.callback(self.stop_redis)
            self.start_redis()
            self._stack.enter_context(self._joined())
            self._engine = db.engine()
            self._stack.callback(self._engine.dispose)
            migrate(self._engine)
            with self._engine.begin() as connection:
                connection.execute(text(floor.TABLE))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def engine(self) -> Engine:
        """The way to the database."""
        assert self._engine is not None
        return self._engine

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a program on these servers is told."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SCENEMILL_")}
        return {**plain, **self._named(), **SILENT, "PYTHONPATH": str(Path.cwd()), **more}

    def _named(self) -> dict[str, str]:
        return {
            "SCENEMILL_DATABASE_URL": self.database_url,
            "SCENEMILL_BROKER_URL": self.redis.url(0),
            "SCENEMILL_REDIS_URL": self.redis.url(1),
            "SCENEMILL_STORAGE_URL": str(self.folder / "storage"),
            "SCENEMILL_WORK_DIR": str(self.folder / "work"),
        }

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """Make this process one of the installation: its settings, its database, its broker."""
        before = dict(os.environ)
        os.environ.update(self._named())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def database(self, name: str) -> str:
        """Make another migrated database on the same server, and return its URL."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = self.database_url.rpartition("/")[0] + f"/{name}"
        engine = create_engine(url)
        try:
            migrate(engine)
        finally:
            engine.dispose()
        return url

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a transaction, committed at its end."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def accounts(self, prefix: str, number: int) -> list[tuple[UUID, str]]:
        """Make accounts; return the id and a key of each."""
        with self.session() as session:
            ids = [accounts.ensure_account(session, f"{prefix}-{at}") for at in range(number)]
            return [(each, accounts.create_key(session, each, "bench", accounts.SCOPES)[1]) for each in ids]

    def start_redis(self) -> None:
        """Start Redis where it does not run."""
        if self._redis is not None and self._redis.poll() is None:
            return
        log = self.folder / "redis.log"
        with log.open("ab") as output:
            self._redis = processes.start(
                self.redis.argv(), env={"PATH": os.defpath}, cwd=self.folder, output=output
            )
        until(self.redis.ready, "Redis")

    def stop_redis(self) -> None:
        """Stop Redis: connections to it are refused from now on."""
        if self._redis is not None:
            processes.stop(self._redis, rd.STOP_SIGNAL, grace=10)
            self._redis = None

    @contextmanager
    def program(self, name: str, argv: list[str], ready: Callable[[], bool], **more: str) -> Iterator[int]:
        """Run a program of Python's until the `with` ends, and give its pid once it is ready."""
        self._logs += 1
        log = self.folder / f"{self._logs}-{name}.log"
        with log.open("ab") as output:
            process = processes.start(
                [sys.executable, *argv], env=self.environment(**more), cwd=self.folder, output=output
            )
        try:
            until(lambda: ready() or _over(process, log), name)
            yield process.pid
        finally:
            processes.stop(process, signal.SIGTERM, grace=12)

    @contextmanager
    def gunicorn(self, app: str, path: str, **more: str) -> Iterator[tuple[str, int]]:
        """Run an application as the gateway is run, and give its address and the master's pid."""
        address = f"{LOOPBACK}:{free_port()}"
        argv = ["-m", "gunicorn", "-c", "python:api.gunicorn", "--bind", address, app]
        counters = self.folder / f"counters-{self._logs}"
        counters.mkdir()
        with self.program(
            "gunicorn",
            argv,
            lambda: answers(f"http://{address}{path}"),
            **{"PROMETHEUS_MULTIPROC_DIR": str(counters), **UNLIMITED, **more},
        ) as pid:
            yield f"http://{address}", pid

    @contextmanager
    def worker(self, app: str, queue: str, slots: int, *options: str, **more: str) -> Iterator[int]:
        """Run a Celery worker, and give its pid once it takes messages."""
        port = free_port()
        argv = [
            "-m", "celery", "--quiet", "-A", app, "worker", "-Q", queue, "-c", str(slots),
            "--without-gossip", "--without-mingle", "-n", f"{queue}-{port}@bench", *options,
        ]  # fmt: skip
        with self.program(
            "worker", argv, lambda: is_open(port), SCENEMILL_WORKER_METRICS_PORT=str(port), **more
        ) as pid:
            yield pid


def _over(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"It ended: {log.read_text(errors='replace')[-1500:]}")
    return False


def answers(url: str) -> bool:
    """Tell whether an address answers at all."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 (our own loopback address)
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def until(true: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> float:
    """Wait until it is so and return how long that took, or raise."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s.")
        time.sleep(0.02)
    return time.monotonic() - began
