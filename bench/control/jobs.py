"""How fast jobs that do nothing go through claim, lease and settle beside bare Celery tasks; and what more workers bring.

A speed is taken from the middle nine tenths of a run, so that neither its beginning nor its end counts.
"""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from redis import Redis
from sqlalchemy import event, func, text, update

from bench.control import floor
from bench.control.lab import until
from shared import db
from shared.dispatch import publishing
from shared.lifecycle import submissions
from shared.models import Job
from shared.states import Stage
from tasks import run
from tasks.run import JobOutput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bench.control.lab import Lab

ACCOUNTS = 20
SLOTS = 2
SLEEP = 50  # milliseconds
EDGE = 0.05
PATIENCE = 180.0
_ENDS = text("""
SELECT extract(epoch FROM finished_at)::float FROM jobs
 WHERE state = 'succeeded' AND account_id = ANY(:accounts) ORDER BY finished_at
""")


def measured(lab: Lab, *, quick: bool) -> dict[str, Any]:
    """Return the figures of this part."""
    rounds, number = (1, 300) if quick else (3, 1500)
    found: dict[str, Any] = {"rounds": [], "statements": statements(lab, 40)}
    for _ in range(rounds):
        bare = _bare(lab, 2 * number)
        with lab.worker("bench.control.noop", "scripts", SLOTS):
            ours = speed(through(lab, number, 0))
        found["rounds"].append({"bare": bare, "ours": ours})
    return found


def scaled(lab: Lab, *, quick: bool) -> dict[str, Any]:
    """Return how many jobs that sleep one, two and four workers of one slot do a second."""
    found: dict[str, float] = {}
    running = 0
    with ExitStack() as stack:
        for workers in (1, 2, 4):
            while running < workers:
                stack.enter_context(lab.worker("bench.control.noop", "scripts", 1))
                running += 1
            number = (25 if quick else 100) * workers
            found[str(workers)] = speed(through(lab, number, SLEEP))
    return found


def speed(ends: Sequence[float]) -> float:
    """Return how many ended a second, in the middle of the run."""
    cut = int(EDGE * len(ends))
    kept = ends[cut : len(ends) - cut]
    return (len(kept) - 1) / (kept[-1] - kept[0])


def submit(lab: Lab, account_id: UUID, number: int, milliseconds: int) -> list[UUID]:
    """Write jobs down as the gateway does. Each needs a spec that is a script job's."""
    one = submissions.Submission(
        kind="script", spec={"kind": "script", "brief": {"topic": str(milliseconds)}}
    )
    with lab.session() as session:
        return submissions.submit(session, account_id, [one] * number, max_attempts=5)


def through(lab: Lab, number: int, milliseconds: int) -> list[float]:
    """Have so many jobs of some accounts done, and return when each ended."""
    owners = [each for each, _ in lab.accounts(uuid.uuid4().hex, ACCOUNTS)]
    for owner in owners:
        submit(lab, owner, number // ACCOUNTS, milliseconds)
    for owner in owners:
        publishing.publish(owner)
    return ended(lab, owners, number // ACCOUNTS * ACCOUNTS)


def ended(lab: Lab, owners: Sequence[UUID], number: int) -> list[float]:
    """Wait until so many jobs of these accounts have succeeded, and return when each did."""
    ends: list[float] = []

    def done() -> bool:
        time.sleep(0.2)
        with lab.session() as session:
            ends[:] = session.scalars(_ENDS, {"accounts": list(owners)})
        return len(ends) >= number

    until(done, "The jobs", PATIENCE)
    return ends


def _bare(lab: Lab, number: int) -> float:
    """Return how many bare tasks a second a worker does, from the length of its queue."""
    with floor.app.producer_pool.acquire(block=True, timeout=5) as producer:
        for at in range(number):
            floor.app.send_task(floor.TASK, args=[str(at)], producer=producer)
    key = f"scenemill:{floor.QUEUE}"
    seen: list[tuple[float, int]] = []
    with (
        Redis.from_url(lab.redis.url(0)) as client,
        lab.worker("bench.control.floor", floor.QUEUE, SLOTS),
    ):

        def drained() -> bool:
            seen.append((time.monotonic(), client.llen(key)))
            return not seen[-1][1]

        until(drained, "The bare tasks", PATIENCE)
    return slope(seen, number)


def slope(seen: Sequence[tuple[float, int]], number: int) -> float:
    """Return by how many a second a queue of so many became shorter, in the middle of the run."""
    kept = [one for one in seen if EDGE * number <= one[1] <= (1 - EDGE) * number]
    return (kept[0][1] - kept[-1][1]) / (kept[-1][0] - kept[0][0])


def statements(lab: Lab, number: int) -> float:
    """Return how many SQL statements a job takes from its claim to its end, what it lets in included."""
    ((owner, _),) = lab.accounts(uuid.uuid4().hex, 1)
    ids = submit(lab, owner, number, 0)
    with lab.session() as session:
        session.execute(update(Job).where(Job.id.in_(ids)).values(published_at=func.now()))
    counted: list[str] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        counted.append(statement)

    event.listen(db.engine(), "before_cursor_execute", count)
    try:
        for job_id in ids:
            run.run_job(str(job_id), lambda _: JobOutput({}), run.claim_queued(Stage.WRITING))
    finally:
        event.remove(db.engine(), "before_cursor_execute", count)
    return len(counted) / number
