"""A whole local stack under load, seen from outside: what was promised to clients, and what Postgres says of it.

Its client behaves as a good one does: it asks again under the same idempotency key until it is answered 202.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx
import psutil
import redis
from celery import Celery
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shared import accounts
from shared.celery_config import celery_settings
from shared.settings import Settings
from tests.chaos import history, load
from tests.chaos.files import Disk, Objects
from tests.chaos.receiver import Receiver
from tests.chaos.wrapper import Wrapper
from tests.e2e.stack import QUICK, TERMINAL, Stack
from workers.local import processes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tests.chaos.files import Files
    from tests.loopback.s3 import S3

T = TypeVar("T")

LEASE, HEARTBEAT, SWEEP = 3.0, 0.7, 0.3
SETTINGS = {
    **QUICK,
    "SCENEMILL_REPUBLISH_AFTER": "4",
    "SCENEMILL_RENDER_STALL_TIMEOUT": "4",
    "SCENEMILL_SHUTDOWN_GRACE": "1",
    "SCENEMILL_ALLOW_PRIVATE_ADDRESSES": "true",
    "SCENEMILL_MAX_RUNNING_PER_ACCOUNT": "6",
    "SCENEMILL_MAX_QUEUED": "600",
}
HOOKED = ["task.succeeded", "task.failed", "task.canceled"]


@dataclass
class Promises:
    """What clients were told, to be held against what became of it."""

    accepted: dict[str, str] = field(default_factory=dict)  # task id -> the key of its account
    hooked: set[str] = field(default_factory=set)
    canceled: set[str] = field(default_factory=set)  # cancels that were answered 202
    retried: set[str] = field(default_factory=set)
    twins: list[tuple[str, str]] = field(default_factory=list)  # answers to one key and one body


@dataclass(frozen=True)
class Hit:
    """A fault that was seen to hit, and the moment at which it did."""

    name: str
    at: datetime
    evidence: str


class World:
    """The stack, its load, its clients and its receiver."""

    def __init__(
        self, folder: Path, seed: int, settings: Mapping[str, str] | None = None, *, s3: S3 | None = None
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 (a seeded schedule is the point)
        self.seed = seed
        self.receiver = Receiver()
        self.wrapper = Wrapper(folder / "ffmpeg")
        data = folder / "data"
        self.files: Files = Objects(s3, data / "cache") if s3 else Disk(data / "storage")
        self.settings = {**SETTINGS, "SCENEMILL_FFMPEG": str(self.wrapper.path), **(settings or {})}
        if s3:
            self.settings |= self.files.settings()
        self.stack = Stack(data, self.settings)
        self.promised = Promises()
        self.hits: list[Hit] = []
        self.other_key = ""
        self._extra: list[subprocess.Popen[bytes]] = []
        self._http = httpx.Client(timeout=15, verify=False)  # noqa: S501 (loopback speaks http; this saves reading certificates)

    def __enter__(self) -> Self:
        self.stack.start()
        self.engine = create_engine(self.stack.facts["database_url"], poolclass=NullPool)
        history.install(self.engine)
        self.other_key = self.new_account("another")
        self.began = self.now()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.family():
            with contextlib.suppress(psutil.Error):
                one.resume()
        self._http.close()
        self.stack.stop()
        self.receiver.close()

    # What Postgres and the machine say.

    def rows(self, query: str, **values: object) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).all()

    def value(self, query: str, **values: object) -> Any:
        return self.rows(query, **values)[0][0]

    def execute(self, query: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(query), values)

    def now(self) -> datetime:
        return cast("datetime", self.value("SELECT clock_timestamp()"))

    def redis(self, database: str = "broker_url") -> redis.Redis:
        return redis.Redis.from_url(self.stack.facts[database], socket_timeout=5)

    def family(self) -> list[psutil.Process]:
        assert self.stack.process is not None
        return [
            one
            for process in [self.stack.process, *self._extra]
            for one in processes.process_tree(process.pid)[1:]
        ]

    def service(self, name: str) -> psutil.Process:
        """Return a program of the stack, once it is there."""
        return self.wait(lambda: self.stack.program(name), f"a program {name}")

    def whole(self, name: str) -> list[psutil.Process]:
        """Return a program and all that descends from it."""
        return processes.process_tree(self.service(name).pid)

    def ffmpegs(self) -> list[psutil.Process]:
        return [one for one in self.stack.processes("-progress") if "celery" not in " ".join(_cmdline(one))]

    def renderers(self) -> list[psutil.Process]:
        """Return those that make a segment's picture: a lease is held for each."""
        return [one for one in self.ffmpegs() if "rawvideo" in _cmdline(one)]

    def wait(self, holds: Callable[[], T | None], what: str, seconds: float = 30, pause: float = 0.03) -> T:
        """Return what `holds` gives as soon as it gives something; a server that is away is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(DBAPIError, redis.RedisError, httpx.HTTPError):
                if found := holds():
                    return found
            assert time.monotonic() < deadline, (
                f"waited {seconds:.0f} s in vain for {what} (seed {self.seed})"
            )
            time.sleep(pause)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line.get("event") == event]

    def log(self) -> Iterator[dict[str, Any]]:
        for file in sorted(Path(self.stack.facts["log"]).parent.glob("scenemill.log*")):
            for line in file.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    # What clients do.

    def call(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.stack.facts['api_key']}", **more.pop("headers", {})}
        return self._http.request(method, self.stack.facts["api"] + path, headers=headers, **more)

    def post(self, job: Mapping[str, Any], *, key: str | None = None, hook: bool = False) -> str:
        """Post until it is taken, as a client does that wants its video; return the task's id."""
        body = {**job, "webhook": {"url": self.receiver.url, "events": HOOKED}} if hook else job
        token = {"Idempotency-Key": load.key()}

        def taken() -> httpx.Response | None:
            answer = self.call("POST", "/v1/jobs", key=key, json=body, headers=token)
            assert answer.status_code in (202, 409, 429, 500, 502, 503), answer.text
            return answer if answer.status_code == 202 else None

        task_id = str(self.wait(taken, "a job to be taken", 60).json()["task_id"])
        self.promised.accepted[task_id] = key or self.stack.facts["api_key"]
        if hook:
            self.promised.hooked.add(task_id)
        if self.rng.random() < 0.1:
            again = self.wait(taken, "the same answer").json()["task_id"]
            self.promised.twins.append((task_id, again))
        return task_id

    def batch(self, jobs: Sequence[Mapping[str, Any]], key: str) -> httpx.Response:
        """Post many at once, and note what was taken."""
        answer = self.call("POST", "/v1/batch", key=key, json={"jobs": jobs})
        if answer.status_code == 202:
            self.promised.accepted |= dict.fromkeys(answer.json()["task_ids"], key)
        return answer

    def flood(self, number: int, *, hook: bool = True) -> list[str]:
        return [self.post(load.mixed(self.rng), hook=hook) for _ in range(number)]

    def cancel(self, task_id: str) -> int:
        status = self.call(
            "POST", f"/v1/tasks/{task_id}/cancel", key=self.promised.accepted[task_id]
        ).status_code
        if status == 202:
            self.promised.canceled.add(task_id)
        return status

    def state(self, task_id: str) -> Any:
        return self.rows("SELECT * FROM jobs WHERE id = :id", id=task_id)[0]

    def until(self, task_id: str, seconds: float = 30, **columns: str) -> Any:
        """Wait until a job's columns are so, and return its row."""

        def found() -> Any:
            row = self.state(task_id)
            return row if all(getattr(row, name) == value for name, value in columns.items()) else None

        return self.wait(found, f"a job with {columns}", seconds)

    def end(self, task_id: str, seconds: float = 60) -> str:
        """Return the state in which a job has ended."""
        ended = self.wait(
            lambda: state if (state := self.state(task_id).state) in TERMINAL else None, "an end", seconds
        )
        return str(ended)

    def ends(self, tasks: Sequence[str], seconds: float = 60) -> list[str]:
        """Return the states in which jobs have ended, with the error of those that failed."""
        return [
            f"failed: {self.state(one).error}" if (state := self.end(one, seconds)) == "failed" else state
            for one in tasks
        ]

    def settle(self, seconds: float = 90) -> None:
        """Wait until nothing is unfinished; what still is then, the invariants tell."""
        with contextlib.suppress(AssertionError):
            self.wait(lambda: self._unfinished() == 0, "all jobs to end", seconds)

    def ease(self, most: int = 30) -> None:
        """Wait until not more jobs are unfinished: a load beyond what the machine can do would only measure the machine."""
        self.wait(lambda: self._unfinished() <= most, "jobs to end", 180)

    def _unfinished(self) -> int:
        return int(self.value("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'canceling')"))

    def new_account(self, name: str) -> str:
        with Session(self.engine) as session, session.begin():
            owner = accounts.ensure_account(session, name)
            return accounts.create_key(session, owner, name, accounts.SCOPES)[1]

    # What the harness does beside them.

    def send(self, task: str, *arguments: str, times: int = 1) -> None:
        """Publish a message as our own code does."""
        with Celery(set_as_current=False) as app:
            app.conf.update(celery_settings(self.config()))
            with app.producer_pool.acquire(block=True) as producer:
                for _ in range(times):
                    app.send_task(task, args=list(arguments), producer=producer)

    def config(self) -> Settings:
        facts = self.stack.facts
        return Settings(
            database_url=facts["database_url"],
            broker_url=facts["broker_url"],
            redis_url=facts["redis_url"],
            storage_url=self.files.settings()["SCENEMILL_STORAGE_URL"],
        )

    @contextlib.contextmanager
    def worker(self, queues: str, **environment: str) -> Iterator[None]:
        """Run one more worker, which takes messages when the block begins, with an environment that may be its own."""
        facts, folder = self.stack.facts, self.stack.folder
        own = {
            **self.settings,
            "SCENEMILL_DATABASE_URL": facts["database_url"],
            "SCENEMILL_BROKER_URL": facts["broker_url"],
            "SCENEMILL_REDIS_URL": facts["redis_url"],
            **self.files.settings(),
            "SCENEMILL_STORAGE_CACHE_DIR": str(folder / "cache"),
            "SCENEMILL_WORK_DIR": str(folder / "work"),
            "PYTHONWARNINGS": "ignore",
            **environment,
        }
        name = f"extra-{uuid.uuid4().hex[:8]}@here"
        options = ("--without-gossip", "--without-mingle", "-c", "1", "-Q", queues, "-n", name)
        with (folder / "logs" / "scenemill.log.extra").open("ab") as output:
            process = processes.start(
                [sys.executable, "-m", "celery", "--quiet", "-A", "workers.app", "worker", *options],
                env={**os.environ, **own},
                cwd=folder,
                output=output,
            )
        self._extra.append(process)
        try:
            self.wait(lambda: process.poll() is not None or self._answers(name), f"the worker {name}", 90)
            assert process.poll() is None, "the worker has ended"
            yield
        finally:
            processes.stop(process, signal.SIGTERM, grace=10)
            self._extra.remove(process)

    def _answers(self, worker: str) -> bool:
        """Tell whether a worker is there and listens."""
        with Celery(set_as_current=False) as app:
            app.conf.update(celery_settings(self.config()))
            return bool(app.control.ping(destination=[worker], timeout=1))

    @contextlib.contextmanager
    def stopped(self, *names: str) -> Iterator[list[psutil.Process]]:
        """Hold programs of the stack still for as long as the block lasts."""
        held = [one for name in names for one in self.whole(name)]
        for one in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            yield held
        finally:
            for one in held:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.resume()

    def hit(self, name: str, evidence: str, at: datetime | None = None) -> None:
        """Note that a fault did hit, at this moment where no other is told."""
        self.hits.append(Hit(name, at or self.wait(self.now, "Postgres", 60), evidence))


def _cmdline(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []
