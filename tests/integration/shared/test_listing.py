"""A page of a list is read from where it begins, however many rows come before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from api.batches import batch_actions
from shared.lifecycle import listing, submissions
from shared.models import Batch
from tests import factories

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.orm import Session

pytestmark = pytest.mark.services


def batch(session: Session, account_id: uuid.UUID, number: int) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Write a batch of so many jobs down, in two parts."""
    ids = batch_actions.new_job_ids(number + 1)
    session.add(Batch(id=ids[0], account_id=account_id, total=number))
    session.flush()
    for part in (ids[1 : number // 2], ids[number // 2 :]):
        wanted = [submissions.Submission("video", {}, batch_id=ids[0]) for _ in part]
        submissions.submit(session, account_id, wanted, max_attempts=1, ids=part)
    return ids[0], ids[1:]


def plan_of(session: Session, statement: str, parameters: Any) -> str:
    """Return how Postgres would read a large table. It still sorts where no index has the order."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    session.execute(text("SET LOCAL enable_bitmapscan = off"))
    session.execute(text("SET LOCAL enable_sort = off"))
    plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(row[0] for row in plan)


def test_a_batch_is_read_in_its_order_page_by_page_without_sorting_it(session: Session) -> None:
    owner = factories.account(session)
    batch_id, ids = batch(session, owner, 60)
    batch(session, owner, 60)
    asked: list[tuple[str, Any]] = []
    listened = session.connection()
    event.listen(listened, "before_cursor_execute", lambda *call: asked.append(call[2:4]))

    found, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page, after = listing.list_jobs(
            session, owner, listing.JobFilter(batch_id=batch_id), limit=25, after=after
        )
        found += [job.id for job in page]
        pages += 1

    assert found == ids
    assert pages == 3
    plan = plan_of(session, *asked[2])
    assert "Index Scan Backward using ix_jobs_newest" in plan
    assert "(created_at = " in plan
    assert "Sort" not in plan
