"""Does on one database what it is told on its standard input, and answers with how long each time took.

`claim 100`, `list 100`, `sweep 10`: so many times, by the product's own functions. `explain 0`: names what of all their
statements reads a large table from end to end.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, func, select, text, update

from shared import db
from shared.lifecycle import jobs, listing
from shared.lifecycle.listing import JobFilter
from shared.models import Account, Job
from shared.states import Stage, State
from tasks.upkeep import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

LARGE = 1000  # rows: below them reading all is what a good planner does
PAGE = 50


def main() -> None:
    """Work until the input ends."""
    for line in sys.stdin:
        work, number = line.split()
        print(json.dumps(scans() if work == "explain" else timed(work, int(number))), flush=True)


def timed(work: str, number: int) -> list[float]:
    """Do it so many times and return the seconds that each took."""
    taken = []
    for one in WORKS[work](number):
        began = time.perf_counter()
        one()
        taken.append(time.perf_counter() - began)
    _put_back()
    return taken


def _claims(number: int) -> Iterator[Callable[[], None]]:
    with db.transaction() as session:
        query = select(Job.id).where(Job.state == State.QUEUED).order_by(Job.id).limit(number)
        ids = session.scalars(query).all()
        session.execute(update(Job).where(Job.id.in_(ids)).values(published_at=func.now()))
    return (lambda job_id=job_id: _claim(job_id) for job_id in ids)  # type: ignore[misc]


def _claim(job_id: UUID) -> None:
    with db.transaction() as session:
        assert jobs.claim(session, job_id, Stage.GATHERING, lease=timedelta(minutes=5), worker="bench")


def _put_back() -> None:
    """Let the claimed jobs wait again: every turn finds the same."""
    with db.transaction() as session:
        session.execute(
            update(Job)
            .where(Job.state == State.RUNNING)
            .values(
                state=State.QUEUED, stage=None, attempt=0, leased_until=None, published_at=None, worker=None
            )
        )


def _lists(number: int) -> Iterator[Callable[[], None]]:
    """Ask for pages of every kind: the newest, one from the middle, what failed, what waits, scripts alone."""
    with db.transaction() as session:
        owners = session.scalars(select(Account.id)).all()
        middles = {owner: _middle(session, owner) for owner in owners}
    wishes = cycle(
        [(JobFilter(), False), (JobFilter(), True), (JobFilter(states=(State.FAILED,)), False),
         (JobFilter(states=(State.QUEUED,)), False), (JobFilter(kinds=("script",)), True)]
    )  # fmt: skip
    for at in range(number):
        owner, (wanted, inside) = owners[at % len(owners)], next(wishes)
        yield lambda owner=owner, wanted=wanted, inside=inside: _list(  # type: ignore[misc]
            owner, wanted, middles[owner] if inside else None
        )


def _middle(session: Any, owner: UUID) -> listing.Cursor:
    row = session.execute(
        select(Job.created_at, Job.id).where(Job.account_id == owner, Job.finished_at.is_not(None))
        .order_by(Job.created_at).offset(200).limit(1)
    ).one()  # fmt: skip
    return listing.Cursor(row[0], row[1])


def _list(owner: UUID, wanted: JobFilter, after: listing.Cursor | None) -> None:
    with db.transaction() as session:
        found, _ = listing.list_jobs(session, owner, wanted, limit=PAGE, after=after)
    assert found


def _sweeps(number: int) -> Iterator[Callable[[], None]]:
    return (sweep.sweep for _ in range(number))


def scans() -> list[str]:
    """Return which statements of a claim, of lists and of a sweep read a large table from end to end."""
    asked: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not statement.startswith("PREPARE"):
            asked.setdefault(statement, parameters)

    event.listen(db.engine(), "before_cursor_execute", note)
    for work, number in (("claim", 1), ("list", 5), ("sweep", 1)):
        timed(work, number)
    event.remove(db.engine(), "before_cursor_execute", note)
    found = []
    with db.transaction() as session:
        tables = session.execute(text("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'"))
        rows = {row.relname: row.reltuples for row in tables}
        # The one that they were prepared on: this process has one at a time.
        connection = session.connection()
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        for statement, parameters in asked.items():
            answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            for table in seq_scans(answer.scalar_one()[0]["Plan"]):
                if rows.get(table, 0) > LARGE:
                    found.append(f"{table}: {' '.join(statement.split())[:200]}")  # noqa: PERF401
    return found


def seq_scans(plan: dict[str, Any]) -> list[str]:
    """Return the tables that a plan reads from end to end."""
    own = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    return own + [table for below in plan.get("Plans", ()) for table in seq_scans(below)]


WORKS: dict[str, Callable[[int], Iterator[Callable[[], Any]]]] = {
    "claim": _claims,
    "list": _lists,
    "sweep": _sweeps,
}

if __name__ == "__main__":
    main()
