"""What follows from a job's end, in the same transaction: its webhook delivery, and its batch's counts.

A delivery is one row with one id and one body, however often it is sent.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, insert, update

from shared.models import Batch, Delivery, Job
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.orm import Session

# What an UPDATE that ends jobs returns; `record_ends` reads it.
ENDED_COLUMNS = (
    Job.id,
    Job.account_id,
    Job.kind,
    Job.batch_id,
    Job.custom_id,
    Job.meta,
    Job.error,
    Job.finished_at,
    Job.spec["webhook"].label("webhook"),
)


def record_ends(session: Session, ended: Sequence[Row[Any]], state: State) -> None:
    """Insert the deliveries of these ended jobs, and count them in their batches."""
    event = f"task.{state}"
    deliveries = [
        _delivery(row.account_id, row.webhook["url"], event, row.finished_at, _task_data(row, state))
        for row in ended
        if row.webhook is not None and event in row.webhook["events"]
    ]
    if deliveries:
        session.execute(insert(Delivery), deliveries)
    # Sorted: two transactions that end jobs of the same batches lock them in one order, and cannot deadlock.
    for batch_id in sorted({row.batch_id for row in ended if row.batch_id is not None}):
        _count_in_batch(session, batch_id, state, sum(row.batch_id == batch_id for row in ended))


def _task_data(row: Row[Any], state: State) -> dict[str, Any]:
    data = {
        "task_id": str(row.id),
        "kind": row.kind,
        "status": state.value,
        "custom_id": row.custom_id,
        "batch_id": str(row.batch_id) if row.batch_id else None,
        "metadata": row.meta,
        "error": row.error,
        "links": {"self": f"/v1/tasks/{row.id}"},
    }
    return data if state == State.FAILED else {name: data[name] for name in data if name != "error"}


def _delivery(
    account_id: uuid.UUID, url: str, event: str, at: datetime, data: dict[str, Any]
) -> dict[str, Any]:
    body = {"type": event, "timestamp": at.isoformat(), "data": data}
    return {
        "id": uuid.uuid4(),
        "account_id": account_id,
        "url": url,
        "event": event,
        "subject": data.get("task_id") or data["batch_id"],
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def _count_in_batch(session: Session, batch_id: uuid.UUID, state: State, number: int) -> None:
    """Count ended jobs in their batch; the last one ends the batch and inserts its delivery."""
    column = {State.SUCCEEDED: Batch.succeeded, State.FAILED: Batch.failed, State.CANCELED: Batch.canceled}[
        state
    ]
    ended = Batch.succeeded + Batch.failed + Batch.canceled + number
    batch = session.scalar(
        update(Batch)
        .where(Batch.id == batch_id)
        .values(
            {
                column: column + number,
                Batch.finished_at: case((ended >= Batch.total, func.now()), else_=Batch.finished_at),
            }
        )
        .returning(Batch)
        # The batch may be in the session already, with the counts from before this UPDATE.
        .execution_options(populate_existing=True)
    )
    if batch is None or batch.finished_at is None or batch.webhook is None:
        return
    counts = {"succeeded": batch.succeeded, "failed": batch.failed, "canceled": batch.canceled}
    data = {"batch_id": str(batch_id), "counts": counts, "links": {"self": f"/v1/batch/{batch_id}"}}
    delivery = _delivery(batch.account_id, batch.webhook["url"], "batch.finished", batch.finished_at, data)
    session.execute(insert(Delivery), [delivery])


def uncount_in_batch(session: Session, batch_id: uuid.UUID | None, state: State, number: int = 1) -> None:
    """Take jobs that are retried out of their batch's counts."""
    if batch_id is None:
        return
    column = {State.FAILED: Batch.failed, State.CANCELED: Batch.canceled}[state]
    session.execute(
        update(Batch).where(Batch.id == batch_id).values({column: column - number, Batch.finished_at: None})
    )
