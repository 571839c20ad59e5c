"""Records what each attempt used, sums it by month, and checks budgets before more is spent.

A budget can be exceeded by the calls in flight at that moment: one for each worker slot. Functions take a session and
never commit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, true

from shared.errors import QuotaExceeded
from shared.models import Account, Artifact, Asset, Job, StoredMix, StoredSegment, StoredSpeech, Usage

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy.orm import Session

    from shared.settings import Settings


class UsageKind(StrEnum):
    """The kinds of usage that have a price."""

    TOKENS = "tokens"
    CHARACTERS = "characters"
    TRANSCRIBED = "transcribed_seconds"
    IMAGES = "images"
    RENDER_SECONDS = "render_seconds"


def cost(kind: UsageKind, amount: float, config: Settings) -> float:
    """Return today's cost of an amount: tokens and characters are priced per 1,000, transcription per minute."""
    prices = {
        UsageKind.TOKENS: config.price_tokens / 1000,
        UsageKind.CHARACTERS: config.price_characters / 1000,
        UsageKind.TRANSCRIBED: config.price_transcription / 60,
        UsageKind.IMAGES: config.price_images,
        UsageKind.RENDER_SECONDS: config.price_render_seconds,
    }
    return prices[kind] * amount


def record_usage(session: Session, job: Job, kind: UsageKind, amount: float, config: Settings) -> None:
    """Record what an attempt used. It stays recorded however the attempt ends."""
    if amount:
        session.add(
            Usage(
                account_id=job.account_id,
                job_id=job.id,
                attempt=job.attempt,
                kind=kind,
                amount=amount,
                cost=cost(kind, amount, config),
            )
        )


def check_budget(session: Session, job: Job, kind: UsageKind, amount: float, config: Settings) -> None:
    """Raise QuotaExceeded if this amount more would exceed the job's or the account's budget."""
    check_budget_for_cost(session, job, cost(kind, amount, config))


def check_budget_for_cost(session: Session, job: Job, more: float) -> None:
    """Raise QuotaExceeded if this cost more would exceed the job's or the account's budget."""
    limit = job.spec.get("budget")
    if limit is not None and (spent := job_cost(session, job.id)) + more > limit:
        raise QuotaExceeded(
            f"The next step costs {more:.6g}, which exceeds the job's budget: {spent:.6g} of {limit:.6g} is spent."
        )
    month = monthly_budget(session, job.account_id)
    if month is not None and (spent := month_cost(session, job.account_id)) + more > month:
        raise QuotaExceeded(
            f"The next step costs {more:.6g}, which exceeds the account's monthly budget: {spent:.6g} of {month:.6g} is spent."
        )


def job_cost(session: Session, job_id: uuid.UUID) -> float:
    """Return the cost of a job, over all its attempts."""
    return (
        session.scalar(select(func.coalesce(func.sum(Usage.cost), 0.0)).where(Usage.job_id == job_id)) or 0.0
    )


def job_amount(session: Session, job_id: uuid.UUID, kind: UsageKind) -> float:
    """Return how much of a kind a job has used, over all its attempts."""
    total = select(func.coalesce(func.sum(Usage.amount), 0.0)).where(
        Usage.job_id == job_id, Usage.kind == kind
    )
    return session.scalar(total) or 0.0


def month_cost(session: Session, account_id: uuid.UUID) -> float:
    """Return the cost of an account in this calendar month (UTC)."""
    total = select(func.coalesce(func.sum(Usage.cost), 0.0)).where(
        Usage.account_id == account_id, Usage.at >= func.date_trunc("month", func.now())
    )
    return session.scalar(total) or 0.0


def stored_bytes(session: Session, account_id: uuid.UUID) -> dict[str, int]:
    """Return the bytes of an account's files, by kind."""
    cache = (StoredSegment, StoredSpeech, StoredMix)
    return {
        "assets": _table_bytes(session, account_id, Asset),
        "artifacts": _artifact_bytes(session, account_id),
        "cache": sum(_table_bytes(session, account_id, table) for table in cache),
    }


def _artifact_bytes(session: Session, account_id: uuid.UUID) -> int:
    """Sum the artifacts job by job: they have no index by account, and most of all rows are artifacts."""
    artifacts = select(func.sum(Artifact.bytes).label("size")).where(Artifact.job_id == Job.id).lateral()
    jobs = select(func.coalesce(func.sum(artifacts.c.size), 0)).select_from(Job).join(artifacts, true())
    return int(session.scalar(jobs.where(Job.account_id == account_id)) or 0)


def _table_bytes(session: Session, account_id: uuid.UUID, table: Any) -> int:
    # Several rows may share one file, which is counted once.
    files = select(table.storage_key, func.max(table.bytes).label("size")).where(
        table.account_id == account_id
    )
    sizes = files.group_by(table.storage_key).subquery()
    return int(session.scalar(select(func.coalesce(func.sum(sizes.c.size), 0))) or 0)


def monthly_budget(session: Session, account_id: uuid.UUID) -> float | None:
    """Return what the account may cost in a calendar month, or None for no limit."""
    return session.scalar(select(Account.budget).where(Account.id == account_id))


def monthly_usage(
    session: Session, account_id: uuid.UUID, *, since: datetime | None = None
) -> list[tuple[datetime, str, float, float]]:
    """Return (start of the month in UTC, kind, amount, cost) rows, oldest first."""
    month = func.date_trunc("month", Usage.at)
    rows = session.execute(
        select(month, Usage.kind, func.sum(Usage.amount), func.sum(Usage.cost))
        .where(Usage.account_id == account_id, *([Usage.at >= since] if since else []))
        .group_by(month, Usage.kind)
        .order_by(month, Usage.kind)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
