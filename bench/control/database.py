"""The same work on both databases: a page of an account's newest videos, and one changed, by eight threads at once.

SQLite as `bench.before` has it, one connection behind a lock and no index; Postgres by the product's own functions. Both
hold the same number of rows, and both are asked by threads of this process: no HTTP is in between.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.before.app import Videos
from bench.control import sizes
from bench.figures import middle
from shared import db
from shared.lifecycle import jobs, listing
from shared.models import Account, Job
from shared.settings import settings
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.control.lab import Lab

THREADS = 8


def measured(lab: Lab, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return how often a second each does it."""
    rows = 20_000 if quick else 100_000
    rounds, seconds = (1, 2.0) if quick else (3, 4.0)
    before = _before(folder / "videos.db", rows)
    url = lab.database("bench_database")
    sizes.fill(url, rows, THREADS * 4)
    engine = db.make_engine(settings().model_copy(update={"database_url": url}))
    try:
        with Session(engine) as session:
            owners = list(session.scalars(select(Account.id)))
            waiting = list(session.scalars(select(Job.id).where(Job.state == State.QUEUED)))

        def now(thread: int, turn: int) -> None:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                listing.list_jobs(
                    session, owners[turn % len(owners)], listing.JobFilter(), limit=50, after=None
                )
            with Session(engine) as session, session.begin():
                jobs.heartbeat(session, waiting[thread], 0, lease=timedelta(seconds=1))

        found = [{"before": _rate(before, seconds), "now": _rate(now, seconds)} for _ in range(rounds)]
    finally:
        engine.dispose()
    return {"rows": rows, "rounds": found, "gain": middle([one["now"] / one["before"] for one in found])}


def _before(path: Path, rows: int) -> Callable[[int, int], None]:
    videos = Videos(path)
    script, moment = json.dumps(sizes.SPEC["script"]), datetime.now(UTC)
    ids = [str(uuid.uuid4()) for _ in range(rows)]
    with videos.lock, videos.connection:
        videos.connection.executemany(
            "INSERT INTO videos VALUES (?, ?, 'succeeded', 'Reefs', ?, '/videos/one.mp4', ?)",
            (
                (name, f"account-{at % sizes.ACCOUNTS}", script, (moment - timedelta(minutes=at)).isoformat())
                for at, name in enumerate(ids)
            ),
        )

    def work(thread: int, turn: int) -> None:
        videos.page(f"account-{turn % sizes.ACCOUNTS}")
        videos.note(ids[thread], "succeeded")

    return work


def _rate(work: Callable[[int, int], None], seconds: float) -> float:
    """Return how often a second threads do it, together."""
    until = time.monotonic() + seconds
    done = [0] * THREADS
    wrong: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            while time.monotonic() < until:
                work(thread, thread + done[thread])
                done[thread] += 1
        except BaseException as error:  # noqa: BLE001 (raised again by the caller)
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return sum(done) / (time.monotonic() - began)
