"""Whether claiming, listing and sweeping stay as fast when a hundred times as many jobs lie in the tables.

Two databases on one server, a process on each that does what it is told by the very code of the product, in turns: each
turn measures the small one and the large one right after another, and a ratio is taken within a turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from bench.figures import middle, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from bench.control.lab import Lab

WORKS = ("claim", "list", "sweep")
ACCOUNTS = 20
_ACCOUNTS = text("""
INSERT INTO accounts (id, name) SELECT gen_random_uuid(), 'size-' || number FROM generate_series(0, :accounts - 1) number
""")
# One in fifty has failed, one in five was a script; they came evenly over the last ninety days.
_FINISHED = text("""
INSERT INTO jobs (id, account_id, kind, state, attempt, max_attempts, progress, spec, metadata, result, error,
                  created_at, started_at, finished_at, run_after, turn, published_at)
SELECT gen_random_uuid(), owner.ids[1 + (number / 50 + number) % :accounts],
       CASE WHEN number % 5 = 0 THEN 'script' ELSE 'video' END,
       CASE WHEN number % 50 = 0 THEN 'failed' ELSE 'succeeded' END, 1, 5, 1, :spec, '{"campaign": "spring"}',
       CASE WHEN number % 50 <> 0 THEN CAST(:result AS jsonb) END, CASE WHEN number % 50 = 0 THEN CAST(:error AS jsonb) END,
       came.at, came.at, came.at + interval '20 seconds', came.at, came.at, came.at
  FROM generate_series(1, :number) number,
       LATERAL (SELECT now() - interval '1 hour' - number * (interval '90 days' / :number) AS at) came,
       (SELECT array_agg(id) AS ids FROM accounts) owner
""")
_QUEUED = text("""
INSERT INTO jobs (id, account_id, kind, state, max_attempts, spec, metadata, created_at, run_after, turn)
SELECT gen_random_uuid(), owner.ids[1 + (number / 50 + number) % :accounts],
       CASE WHEN number % 5 = 0 THEN 'script' ELSE 'video' END,
       'queued', 5, :spec, '{"campaign": "spring"}', came.at, came.at, came.at
  FROM generate_series(1, :number) number,
       LATERAL (SELECT now() - number * (interval '1 hour' / :number) AS at) came,
       (SELECT array_agg(id) AS ids FROM accounts) owner
""")
_SEGMENTS = text("""
INSERT INTO segments (id, account_id, job_id, index, key, state, frames, frames_done, scene_ids, spec, attempt)
SELECT gen_random_uuid(), account_id, id, 0, md5(id::text), 'done', 120, 120, '{opening}', '{}', 1
  FROM jobs WHERE state = 'succeeded' AND kind = 'video' LIMIT :number
""")
_INDEXES = text("""
SELECT indexname, indexdef FROM pg_indexes
 WHERE tablename = 'jobs' AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'jobs'::regclass)
""")
SPEC = {
    "kind": "video",
    "script": {
        "scenes": [
            {"narration": "A reef begins with a single larva, and grows a centimetre a year.", "duration": 4},
            {"narration": "It settles on stone, and builds a cup of lime around itself.", "duration": 4},
        ]
    },
    "output": {"aspect": "16:9", "resolution": "1080p", "fps": 30},
}
RESULT = {"duration": 8.0, "usage": {"render_seconds": 9.1, "rendered_segments": 2, "speech_characters": 120}}
ERROR = {"code": "render-failed", "title": "The video could not be rendered", "status": 500}


def measured(lab: Lab, *, quick: bool, large: int) -> dict[str, Any]:
    """Return the figures of this part; `large` jobs have finished in the large database, and a tenth wait."""
    small = 10_000
    rounds, counts = (
        (2, {"claim": 100, "list": 100, "sweep": 15})
        if quick
        else (5, {"claim": 400, "list": 400, "sweep": 40})
    )
    urls, filling = {}, {}
    for name, number in (("small", small), ("large", large)):
        urls[name] = lab.database(f"bench_{name}")
        began = time.monotonic()
        fill(urls[name], number, number // 10)
        filling[name] = time.monotonic() - began
    found: dict[str, Any] = {"small": small, "large": large, "filling": filling, "rounds": []}
    with _probe(lab, urls["small"], 2) as ask_small, _probe(lab, urls["large"], 4) as ask_large:
        for ask in (ask_small, ask_large):
            for work in WORKS:
                ask(work, 10)
        for _ in range(rounds):
            turn: dict[str, Any] = {}
            for work in WORKS:
                times = {"small": ask_small(work, counts[work]), "large": ask_large(work, counts[work])}
                turn[work] = {
                    name: {"p50": part(each, 0.5), "p99": part(each, 0.99)} for name, each in times.items()
                }
            found["rounds"].append(turn)
        found["scans"] = ask_large("explain", 0)
    return found


def ratio(found: dict[str, Any], work: str, what: str = "p99") -> float:
    """Return how much longer the work takes in the large database: the median of the turns' ratios."""
    return middle([turn[work]["large"][what] / turn[work]["small"][what] for turn in found["rounds"]])


def fill(url: str, finished: int, queued: int) -> None:
    """Fill a migrated database with jobs; indexes are made when all rows are there, as a restore would."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
            indexes = connection.execute(_INDEXES).all()
            for name, _ in indexes:
                connection.execute(text(f"DROP INDEX {name}"))
            _rows(connection, finished, queued)
            for _, definition in indexes:
                connection.execute(text(definition))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))
    finally:
        engine.dispose()


def _rows(connection: Connection, finished: int, queued: int) -> None:
    spec = json.dumps(SPEC)
    given = {"accounts": ACCOUNTS, "spec": spec, "result": json.dumps(RESULT), "error": json.dumps(ERROR)}
    connection.execute(_ACCOUNTS, {"accounts": ACCOUNTS})
    connection.execute(_FINISHED, {**given, "number": finished})
    connection.execute(_QUEUED, {"accounts": ACCOUNTS, "spec": spec, "number": queued})
    connection.execute(_SEGMENTS, {"number": finished // 5})


@contextmanager
def _probe(lab: Lab, url: str, redis: int) -> Iterator[Any]:
    """Run the process that works on one of the databases, and give how it is asked."""
    environment = lab.environment(
        SCENEMILL_DATABASE_URL=url,
        SCENEMILL_BROKER_URL=lab.redis.url(redis),
        SCENEMILL_REDIS_URL=lab.redis.url(redis + 1),
        SCENEMILL_LOG_LEVEL="ERROR",
    )
    with (lab.folder / f"probe-{redis}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.control.probe"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip

    def ask(work: str, number: int) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{work} {number}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The probe ended: {(lab.folder / f'probe-{redis}.log').read_text()[-1500:]}")
        return json.loads(answer)

    try:
        yield ask
    finally:
        process.kill()
        process.wait(10)
