"""Inserts accepted jobs, one or many at once. Functions take a session, never commit, and publish nothing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Interval, bindparam, func, insert

from shared.models import Base, Job, JobAsset
from shared.prepared_statements import PreparedStatement
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

# How far a priority moves a job's turn, which is also the longest that one class waits for another.
HEAD_START = {"interactive": timedelta(hours=-1), "normal": timedelta(0), "bulk": timedelta(hours=1)}

_JOBS = Base.metadata.tables["jobs"]
_INSERT = insert(_JOBS).values(turn=func.now() + bindparam("head_start", type_=Interval))
_COLUMNS = (
    "id", "account_id", "batch_id", "kind", "spec", "metadata", "priority", "custom_id", "template_id",
    "template_version", "expires_in", "link_seconds", "max_attempts", "request_id",
)  # fmt: skip
_SUBMIT = PreparedStatement(
    "submit_job",
    _INSERT.returning(_JOBS.c.created_at),
    returns=[_JOBS.c.created_at],
    columns=[*_COLUMNS, "turn"],
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A validated job to insert."""

    kind: str
    spec: dict[str, Any]
    priority: str = "normal"
    custom_id: str | None = None
    metadata: dict[str, str] | None = None
    expires_in: int | None = None
    link_seconds: int | None = None
    batch_id: uuid.UUID | None = None
    asset_ids: tuple[uuid.UUID, ...] = ()
    template: tuple[str, int] | None = None


def submit(
    session: Session,
    account_id: uuid.UUID,
    submissions: Sequence[Submission],
    *,
    max_attempts: int,
    request_id: str | None = None,
    ids: Sequence[uuid.UUID] | None = None,
) -> list[uuid.UUID]:
    """Insert jobs as queued, in order, and return their ids: the given ones, or random ones."""
    rows = [_row(account_id, one, max_attempts, request_id) for one in submissions]
    if ids is not None:
        rows = [{**row, "id": job_id} for row, job_id in zip(rows, ids, strict=True)]
    # One statement for all rows: a batch of 10,000 jobs would otherwise cost as many round trips.
    session.execute(_INSERT, rows)
    uses = [
        {"account_id": account_id, "job_id": row["id"], "asset_id": asset_id}
        for row, one in zip(rows, submissions, strict=True)
        for asset_id in set(one.asset_ids)
    ]
    if uses:
        session.execute(insert(JobAsset), uses)
    return [row["id"] for row in rows]


def submit_one(
    session: Session,
    account_id: uuid.UUID,
    submission: Submission,
    *,
    max_attempts: int,
    request_id: str | None,
) -> Job:
    """Insert one job as queued and return it without reading it back."""
    row = _row(account_id, submission, max_attempts, request_id)
    created_at = session.execute(_SUBMIT.prepare(session), row).scalar_one()
    if submission.asset_ids:
        uses = [
            {"account_id": account_id, "job_id": row["id"], "asset_id": asset_id}
            for asset_id in set(submission.asset_ids)
        ]
        session.execute(insert(JobAsset), uses)
    # Built here instead of read back: a SELECT per job would lower the accept rate.
    columns = {name: value for name, value in row.items() if name not in ("metadata", "head_start")}
    return Job(
        **columns, meta=row["metadata"], state=State.QUEUED, progress=0.0, attempt=0, created_at=created_at
    )


def _row(
    account_id: uuid.UUID, submission: Submission, max_attempts: int, request_id: str | None
) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "account_id": account_id,
        "batch_id": submission.batch_id,
        "kind": submission.kind,
        "spec": submission.spec,
        "metadata": submission.metadata or {},
        "priority": submission.priority,
        "head_start": HEAD_START[submission.priority],
        "custom_id": submission.custom_id,
        "template_id": submission.template[0] if submission.template else None,
        "template_version": submission.template[1] if submission.template else None,
        "expires_in": submission.expires_in,
        "link_seconds": submission.link_seconds,
        "max_attempts": max_attempts,
        "request_id": request_id,
    }
