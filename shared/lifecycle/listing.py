"""Queries that list and find jobs, assets, deliveries and keys. They change nothing and never commit.

Lists are newest first; a batch's jobs are in the order of the batch. They continue from a cursor, a place in the order
instead of a number of rows, so that rows added or deleted meanwhile are neither repeated nor skipped.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import defer

from shared.models import (
    ApiKey,
    Artifact,
    Asset,
    Batch,
    Delivery,
    DeliveryAttempt,
    DisabledAddress,
    Job,
    JobAsset,
)
from shared.states import UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])
MAX_PAGE_BYTES = 2 * 1024 * 1024  # of results as Postgres stores them, compressed
# A spec or a plan may have megabytes, and no list shows them.
WITHOUT_DOCUMENTS = (defer(Job.spec, raiseload=True), defer(Job.plan, raiseload=True))


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: after this row."""

    created_at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        """Return the cursor as an opaque string."""
        text = f"{self.created_at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Parse a cursor's string, or raise ValueError."""
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
            moment, _, name = plain.partition("|")
            created_at = datetime.fromisoformat(moment)
            cursor = cls(created_at.astimezone(UTC), uuid.UUID(name))
        except (binascii.Error, UnicodeError, ValueError, OverflowError) as error:
            raise ValueError("Is not a cursor of this list.") from error
        if created_at.tzinfo is None:
            raise ValueError("Is not a cursor of this list.")
        return cursor


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list has."""

    kinds: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    batch_id: uuid.UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    text: str | None = None


def list_jobs(
    session: Session, account_id: uuid.UUID, criteria: JobFilter, *, limit: int, after: Cursor | None
) -> tuple[list[Job], Cursor | None]:
    """Return a page of the account's jobs and the cursor of the next page.

    A page ends early where results are large, so that its memory is bounded.
    """
    size = func.coalesce(func.pg_column_size(Job.result), 0)
    query = select(Job.id, Job.created_at, size).where(Job.account_id == account_id, *_conditions(criteria))
    order = _oldest_first if criteria.batch_id else _newest_first
    rows = list(session.execute(order(query, Job, limit, after)))
    sums = itertools.accumulate(row[2] for row in rows)
    # At least one row, or a result larger than a page would stop the list for ever.
    fitting = sum(1 for total in sums if total <= MAX_PAGE_BYTES) or 1
    taken = rows[: min(limit, fitting)]
    following = Cursor(taken[-1][1], taken[-1][0]) if len(rows) > len(taken) else None
    return find_jobs(session, account_id, [row[0] for row in taken]), following


def find_job(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> Job | None:
    """Return the account's job, or None."""
    return session.scalar(
        select(Job).where(Job.account_id == account_id, Job.id == job_id).options(*WITHOUT_DOCUMENTS)
    )


def find_jobs(session: Session, account_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> list[Job]:
    """Return those of the jobs that the account has, in the order of `ids`."""
    query = select(Job).where(Job.account_id == account_id, Job.id.in_(ids)).options(*WITHOUT_DOCUMENTS)
    jobs = {row.id: row for row in session.scalars(query)}
    return [jobs[job_id] for job_id in ids if job_id in jobs]


def list_assets(
    session: Session, account_id: uuid.UUID, *, limit: int, after: Cursor | None
) -> tuple[list[Asset], Cursor | None]:
    """Return a page of the account's assets and the cursor of the next page."""
    query = _newest_first(select(Asset).where(Asset.account_id == account_id), Asset, limit, after)
    rows = list(session.scalars(query))
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], Cursor(last.created_at, last.id) if last else None


def list_deliveries(
    session: Session,
    account_id: uuid.UUID,
    *,
    limit: int,
    after: Cursor | None,
    states: Sequence[str] = (),
    event: str | None = None,
    subject: str | None = None,
) -> tuple[list[Delivery], Cursor | None]:
    """Return a page of the account's webhook deliveries and the cursor of the next page."""
    query = select(Delivery).where(Delivery.account_id == account_id)
    if states:
        query = query.where(Delivery.state.in_(states))
    if event:
        query = query.where(Delivery.event == event)
    if subject:
        query = query.where(Delivery.subject == subject)
    rows = list(session.scalars(_newest_first(query, Delivery, limit, after)))
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], Cursor(last.created_at, last.id) if last else None


def find_delivery(session: Session, account_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery | None:
    """Return the account's delivery, or None."""
    return session.scalar(
        select(Delivery).where(Delivery.account_id == account_id, Delivery.id == delivery_id)
    )


def list_delivery_attempts(
    session: Session, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[DeliveryAttempt]]:
    """Return the tries of these deliveries, oldest first."""
    rows = session.scalars(
        select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(ids)).order_by(DeliveryAttempt.id)
    )
    attempts: dict[uuid.UUID, list[DeliveryAttempt]] = {}
    for row in rows:
        attempts.setdefault(row.delivery_id, []).append(row)
    return attempts


def find_disabled_addresses(session: Session, account_id: uuid.UUID, urls: Iterable[str]) -> set[str]:
    """Return those of the URLs that get no more deliveries, since they answered 410."""
    query = select(DisabledAddress.url).where(
        DisabledAddress.account_id == account_id, DisabledAddress.url.in_(set(urls))
    )
    return set(session.scalars(query))


def _newest_first(
    query: Query, table: type[Job | Asset | Delivery], limit: int, after: Cursor | None
) -> Query:
    """Order and limit a query. It gets one row more than a page has, which tells whether there is a next page."""
    # A row comparison, which uses the index; OFFSET would read all rows before the page.
    if after is not None:
        query = query.where(tuple_(table.created_at, table.id) < tuple_(after.created_at, after.id))
    return query.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)


def _oldest_first(
    query: Query, table: type[Job | Asset | Delivery], limit: int, after: Cursor | None
) -> Query:
    """Order and limit a query the other way: for rows of one transaction, whose ids ascend."""
    if after is not None:
        query = query.where(tuple_(table.created_at, table.id) > tuple_(after.created_at, after.id))
    return query.order_by(table.created_at, table.id).limit(limit + 1)


def _in_batch(batch_id: uuid.UUID) -> tuple[Any, Any]:
    """Match a batch's jobs by the batch's creation time, since all of them were inserted in its transaction.

    So they are a range of the index of all lists, and each page is read from where it begins. With an equality Postgres
    would take the batch's index, and sort the whole batch for each page.
    """
    began = select(Batch.created_at).where(Batch.id == batch_id).scalar_subquery()
    return Job.created_at == began, Job.batch_id.is_not_distinct_from(batch_id)


def _conditions(criteria: JobFilter) -> list[Any]:
    conditions: list[Any] = []
    if criteria.kinds:
        conditions.append(Job.kind.in_(criteria.kinds))
    if criteria.states:
        conditions.append(Job.state.in_(criteria.states))
    if criteria.batch_id:
        conditions.extend(_in_batch(criteria.batch_id))
    if criteria.created_after:
        conditions.append(Job.created_at > criteria.created_after)
    if criteria.created_before:
        conditions.append(Job.created_at < criteria.created_before)
    if criteria.text:
        conditions.append(_mentions(criteria.text))
    return conditions


def _mentions(text: str) -> Any:
    """Match the text in a `key:value` pair of the metadata, or in the custom id, ignoring case."""
    pair = func.jsonb_each_text(Job.meta).table_valued("key", "value").render_derived()
    written = pair.c.key + ":" + pair.c.value
    pairs = select(1).select_from(pair).where(written.icontains(text, autoescape=True)).exists()
    return or_(Job.custom_id.icontains(text, autoescape=True), pairs)


def list_artifacts(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Artifact]]:
    """Return the artifacts of these jobs, in their order."""
    rows = session.scalars(
        select(Artifact).where(Artifact.job_id.in_(job_ids)).order_by(Artifact.job_id, Artifact.position)
    )
    artifacts: dict[uuid.UUID, list[Artifact]] = {}
    for row in rows:
        artifacts.setdefault(row.job_id, []).append(row)
    return artifacts


def find_artifact(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, name: str) -> Artifact | None:
    """Return one artifact of the account's job, or None."""
    return session.scalar(
        select(Artifact).where(
            Artifact.account_id == account_id, Artifact.job_id == job_id, Artifact.name == name
        )
    )


def find_asset(session: Session, account_id: uuid.UUID, asset_id: uuid.UUID) -> Asset | None:
    """Return the account's asset, or None."""
    return session.scalar(select(Asset).where(Asset.account_id == account_id, Asset.id == asset_id))


def lock_assets(
    session: Session, account_id: uuid.UUID, ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[str, Any]]:
    """Return the facts of those of these assets that the account has, and keep them from deletion until the commit."""
    assets = (
        select(Asset.id, Asset.facts)
        .where(Asset.account_id == account_id, Asset.id.in_(set(ids)))
        # Two requests that name the same assets lock them in one order, and cannot deadlock.
        .order_by(Asset.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: row.facts for row in session.execute(assets)}


def is_asset_in_use(session: Session, asset_id: uuid.UUID) -> bool:
    """Return whether an unfinished job names the asset."""
    using = (
        select(JobAsset.job_id)
        .join(Job, and_(Job.id == JobAsset.job_id, Job.state.in_(UNFINISHED)))
        .where(JobAsset.asset_id == asset_id)
        .limit(1)
    )
    return session.scalar(using) is not None


def list_keys(session: Session, account_id: uuid.UUID) -> list[ApiKey]:
    """Return the account's API keys, newest first, including revoked ones."""
    return list(
        session.scalars(
            select(ApiKey)
            .where(ApiKey.account_id == account_id)
            .order_by(ApiKey.created_at.desc(), ApiKey.id)
        )
    )
