"""A real Postgres and a real Redis for the time of a `with` block: for tests and benches."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workers.local import postgres as pg
from workers.local import processes
from workers.local import redis as rd
from workers.local.ports import free_port
from workers.local.processes import CURRENT_USER

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from workers.local.processes import Owner

START_SECONDS = 30
STOP_SECONDS = 10


@contextmanager
def postgres(data: Path, **options: str) -> Iterator[str]:
    """Run Postgres on a free port with its data under `data`; yield the URL of an empty database.

    `options` are Postgres's own, such as `fsync="off"` where losing the data does not matter.
    """
    server = pg.prepare(data, free_port())
    with _running(
        server.argv(**options),
        data / "postgres.log",
        ready=server.ready,
        stop_signal=pg.STOP_SIGNAL,
        death_signal=pg.DEATH_SIGNAL,
        owner=server.owner,
    ):
        yield server.url()


@contextmanager
def redis(data: Path) -> Iterator[str]:
    """Run Redis on a free port with its data under `data`; yield the URL of its database 0."""
    server = rd.prepare(data, free_port())
    with _running(
        server.argv(),
        data / "redis.log",
        ready=server.ready,
        stop_signal=rd.STOP_SIGNAL,
        death_signal=rd.DEATH_SIGNAL,
    ):
        yield server.url()


@contextmanager
def _running(
    argv: Sequence[str],
    log: Path,
    *,
    ready: Callable[[], bool],
    stop_signal: signal.Signals,
    death_signal: signal.Signals,
    owner: Owner = CURRENT_USER,
) -> Iterator[None]:
    with log.open("ab") as output:
        process = processes.start(
            argv,
            env={"PATH": os.defpath},
            cwd=log.parent,
            output=output,
            death_signal=death_signal,
            owner=owner,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{argv[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        processes.stop(process, stop_signal, grace=STOP_SECONDS)
