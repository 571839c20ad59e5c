"""Ten thousand jobs at once from twenty accounts, half of them from one: what is refused, lost, slowed down, and for whom."""

from __future__ import annotations

import statistics
import threading
import uuid
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from bench import load
from bench.control import jobs
from bench.control.lab import until
from bench.figures import part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bench.control.lab import Lab

ACCOUNTS = 20
SLEEP = 20  # milliseconds
SLOTS = 4
PATIENCE = 300.0
# Asked again and again, while the jobs it counts are worked on by the same two cores: it reads those alone that are left.
_LEFT = text("""
SELECT count(*) FROM jobs WHERE account_id = ANY(:accounts) AND state IN ('queued', 'running', 'canceling')
""")
_ROWS = text("""
SELECT account_id, state, extract(epoch FROM created_at)::float AS created, extract(epoch FROM finished_at)::float AS ended
  FROM jobs WHERE account_id = ANY(:accounts) ORDER BY finished_at
""")


def measured(lab: Lab, *, quick: bool) -> dict[str, Any]:
    """Return the figures of this part: of the burst with the median ratio; answers and losses are those of all.

    Bursts and calm take turns, and a burst is compared with the calm before it and after it: the machine has moods.
    """
    turns, number, steady = (1, 800, 400) if quick else (3, 10_000, 1_500)
    hog, each = number // 2, number // 2 // (ACCOUNTS - 1)
    limit = str(int(0.6 * hog))  # the hog asks for more than an account may have, so that refusals are seen
    with (
        lab.gunicorn("api.wsgi:app", "/readyz", SCENEMILL_MAX_QUEUED_PER_ACCOUNT=limit) as (address, _),
        lab.worker("workers.app", "control", 1, "-B", "-s", str(lab.folder / "beat"), "--pidfile="),
        lab.worker("bench.control.noop", "scripts", SLOTS),
    ):
        jobs.through(
            lab, steady // 5, SLEEP
        )  # what is done once a process and once a connection is done here
        calm = [jobs.speed(jobs.through(lab, steady, SLEEP))]
        bursts = []
        for _ in range(turns):
            bursts.append(_burst(lab, address, hog, each))
            calm.append(jobs.speed(jobs.through(lab, steady, SLEEP)))
    return typical(bursts, calm) | {"hog": hog, "each": each, "others": ACCOUNTS - 1}


def typical(bursts: Sequence[dict[str, Any]], calm: Sequence[float]) -> dict[str, Any]:
    """Return the burst with the median ratio to the calm around it, and with it the answers and losses of all of them."""
    speeds = [statistics.mean(around) for around in pairwise(calm)]
    ratios = [one["drain"] / speed for one, speed in zip(bursts, speeds, strict=True)]
    at = sorted(range(len(ratios)), key=ratios.__getitem__)[len(ratios) // 2]
    statuses: Counter[str] = Counter()
    for one in bursts:
        statuses.update(one["statuses"])
    return bursts[at] | {
        "steady": speeds[at],
        "ratios": ratios,
        "statuses": dict(statuses),
        "lost": sum(one["lost"] for one in bursts),
    }


def _burst(lab: Lab, address: str, hog: int, each: int) -> dict[str, Any]:
    owners = lab.accounts(uuid.uuid4().hex, ACCOUNTS)
    outcomes = _post(address, owners, hog, each)
    rows = _settled(lab, [owner for owner, _ in owners])
    return summed(rows, owners[0][0], outcomes) | {"posting": max(one.seconds for one in outcomes)}


def _post(address: str, owners: Sequence[tuple[UUID, str]], hog: int, each: int) -> list[load.Outcome]:
    """Let the hog and the others post at the same time, each of them on connections of its own."""
    body = {"kind": "script", "brief": {"topic": str(SLEEP)}}
    crowd = [load.post("/v1/jobs", body, key) for _ in range(each) for _, key in owners[1:]]
    plans = (
        load.Plan(address, [load.post("/v1/jobs", body, owners[0][1])] * hog, 10),
        load.Plan(address, crowd, 10),
    )
    found: list[load.Outcome] = []
    threads = [threading.Thread(target=lambda plan=plan: found.append(load.run(plan))) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) != len(plans):
        raise RuntimeError("A load generator failed.")
    return found


def _settled(lab: Lab, owners: Sequence[UUID]) -> Sequence[Any]:
    given = {"accounts": list(owners)}

    def over() -> bool:
        threading.Event().wait(0.5)
        with lab.session() as session:
            return not session.scalar(_LEFT, given)

    until(over, "The burst", PATIENCE)
    with lab.session() as session:
        return session.execute(_ROWS, given).all()


def summed(rows: Sequence[Any], hog: UUID, outcomes: Sequence[load.Outcome]) -> dict[str, Any]:
    """Return what a burst came to, from its rows and from what the posts were answered."""
    statuses: Counter[str] = Counter()
    for one in outcomes:
        statuses.update(one.statuses)
    began, last = min(row.created for row in rows), max(row.created for row in rows)
    ends = sorted(row.ended for row in rows)
    after = [end for end in ends if end > last]
    waits = {
        name: [row.ended - row.created for row in rows if (row.account_id == hog) == is_hog]
        for name, is_hog in (("hog", True), ("others", False))
    }
    return {
        "statuses": dict(statuses),
        "lost": statuses["202"] - sum(row.state == "succeeded" for row in rows),
        "drain": jobs.speed(after if len(after) > len(rows) // 5 else ends),
        "after": len(after),
        "waits": {name: {"p50": part(all_, 0.5), "p99": part(all_, 0.99)} for name, all_ in waits.items()},
        "finished": {
            name: [round(row.ended - began, 2) for row in rows if (row.account_id == hog) == is_hog]
            for name, is_hog in (("hog", True), ("others", False))
        },
    }
