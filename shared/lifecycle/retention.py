"""Deletes what is past its retention: finished jobs, stored answers, records, cache entries. Functions never commit.

Each call deletes a bounded batch and returns how many rows; rows that another transaction has locked are skipped.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, literal_column, or_, select, text, tuple_

from shared.lifecycle.uploads import UploadState
from shared.models import (
    ApiKey,
    Artifact,
    AuditEvent,
    Batch,
    Delivery,
    DisabledAddress,
    IdempotencyKey,
    Job,
    Login,
    LoginThrottle,
    RefreshToken,
    Segment,
    StoredMix,
    StoredSegment,
    StoredSpeech,
    Upload,
    WebhookSecret,
)
from shared.states import FINISHED, State

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from shared.models import Base

Store = type[StoredSegment] | type[StoredSpeech] | type[StoredMix]
BATCH_ROWS = 500
BATCH_CHILD_ROWS = 5000  # that go along with a batch: a long video has thousands of segments
LOGIN_RETENTION = timedelta(
    days=1
)  # after their end, so that a stolen refresh token used late is still recognised


def delete_job(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> list[str] | None:
    """Delete a finished job and return its artifacts' storage keys; None if it is missing or unfinished."""
    query = (
        select(Job.id, Job.batch_id)
        .where(Job.account_id == account_id, Job.id == job_id, Job.state.in_(FINISHED))
        .with_for_update()
    )
    jobs = session.execute(query).all()
    return _delete_jobs(session, jobs) if jobs else None


def delete_expired_jobs(session: Session) -> tuple[int, list[str]]:
    """Delete expired finished jobs; return how many, and their artifacts' storage keys."""
    pieces = select(func.count()).where(Segment.job_id == Job.id).scalar_subquery()
    expired = session.execute(
        select(Job.id, Job.batch_id, pieces.label("pieces"))
        .where(Job.expires_at < func.now(), Job.state.in_(FINISHED))
        .limit(BATCH_ROWS)
        # Two sweepers may run at once; each takes what the other has not locked.
        .with_for_update(of=Job, skip_locked=True)
    ).all()
    sums = accumulate(row.pieces for row in expired)
    # At least one, or a video with more segments than the limit would never be deleted.
    fitting = sum(1 for total in sums if total <= BATCH_CHILD_ROWS) or 1
    return len(expired[:fitting]), _delete_jobs(session, expired[:fitting])


def _delete_jobs(session: Session, jobs: Sequence[Any]) -> list[str]:
    ids = [row.id for row in jobs]
    if not ids:
        return []
    delete_idempotency_keys = list(
        session.scalars(select(Artifact.storage_key).where(Artifact.job_id.in_(ids)))
    )
    session.execute(delete(Job).where(Job.id.in_(ids)))
    if batches := {row.batch_id for row in jobs} - {None}:
        _delete_empty_batches(session, batches)
    return delete_idempotency_keys


def _delete_empty_batches(session: Session, batches: set[uuid.UUID]) -> None:
    """Delete finished batches whose last job is gone.

    They are locked first: two transactions may delete the last two jobs, and the second must see what the first
    deleted.
    """
    finished = select(Batch.id).where(Batch.id.in_(batches), Batch.finished_at.is_not(None))
    ids = session.scalars(finished.order_by(Batch.id).with_for_update()).all()
    has_jobs = exists().where(Job.batch_id == Batch.id)
    session.execute(delete(Batch).where(Batch.id.in_(ids), ~has_jobs))


def delete_idempotency_keys(session: Session, *, older_than: timedelta) -> int:
    """Delete old idempotency keys."""
    return _delete_batch(session, IdempotencyKey, IdempotencyKey.created_at < func.now() - older_than)


def delete_deliveries(session: Session, *, older_than: timedelta) -> int:
    """Delete webhook deliveries that ended long ago, with their tries."""
    return _delete_batch(
        session, Delivery, Delivery.state != "pending", Delivery.finished_at < func.now() - older_than
    )


def delete_retired_secrets(session: Session) -> int:
    """Delete webhook secrets that no longer sign."""
    return _delete_batch(session, WebhookSecret, WebhookSecret.retires_at < func.now())


def delete_disabled_addresses(session: Session, *, older_than: timedelta) -> int:
    """Delete old records of addresses that answered 410; the next delivery to such an address finds out again."""
    return _delete_batch(session, DisabledAddress, DisabledAddress.at < func.now() - older_than)


def delete_audit_events(session: Session, *, older_than: timedelta) -> int:
    """Delete old audit events. Their ids ascend with time, so that the primary key finds the oldest."""
    oldest = (
        select(_row_location(AuditEvent), AuditEvent.at < func.now() - older_than)
        .order_by(AuditEvent.id)
        .limit(BATCH_ROWS)
    )
    rows = session.execute(oldest.with_for_update(skip_locked=True)).all()
    return _delete_rows(session, AuditEvent, [location for location, is_old in rows if is_old])


def delete_refresh_tokens(session: Session) -> int:
    """Delete the refresh tokens of ended logins: one that is renewed all the time has a million."""
    login_is_over = exists().where(Login.id == RefreshToken.login_id, _login_is_over())
    return _delete_batch(session, RefreshToken, login_is_over, limit=BATCH_CHILD_ROWS)


def delete_logins(session: Session) -> int:
    """Delete logins that ended long enough ago, once they have no refresh tokens."""
    return _delete_batch(session, Login, _login_is_over(), ~exists().where(RefreshToken.login_id == Login.id))


def delete_revoked_keys(session: Session, *, older_than: timedelta) -> int:
    """Delete API keys that were revoked long ago, once no login began with them."""
    is_old = ApiKey.revoked_at < func.now() - older_than
    return _delete_batch(session, ApiKey, is_old, ~exists().where(Login.key_id == ApiKey.id))


def delete_guesses(session: Session) -> int:
    """Delete failed-login counts that no longer throttle."""
    return _delete_batch(session, LoginThrottle, LoginThrottle.forgotten_at < func.now())


def delete_uploads(session: Session, *, older_than: timedelta) -> int:
    """Delete uploads that ended long enough ago; the assets that they became stay."""
    return _delete_batch(
        session, Upload, Upload.state != UploadState.OPEN, Upload.expires_at < func.now() - older_than
    )


def evict(session: Session, store: Store, *, max_bytes: int, idle: timedelta = timedelta(0)) -> list[str]:
    """Delete a batch of the least recently used entries of a cache over `max_bytes`; return their storage keys.

    Entries that a running job needs for its assembly are spared (if one is lost all the same, the job renders it
    again), and so are those used less than `idle` ago.
    """
    excess = session.scalars(select(func.coalesce(func.sum(store.bytes), 0))).one() - max_bytes
    if excess <= 0:
        return []
    in_use = select(Segment.account_id, Segment.key).join(Job, Job.id == Segment.job_id)
    oldest = session.execute(
        select(_row_location(store).label("place"), store.storage_key, store.bytes)
        # NOT IN hashes what is in use once, however few rows Postgres expects; NOT EXISTS would scan it for each row.
        .where(tuple_(store.account_id, store.key).not_in(in_use.where(Job.state == State.RUNNING)))
        # A job that is being planned may have found this entry a moment ago.
        .where(store.used_at < func.now() - idle)
        .order_by(store.used_at)
        .limit(BATCH_ROWS)
        .with_for_update(of=store, skip_locked=True)
    ).all()
    freed = accumulate((row.bytes for row in oldest), initial=0)
    evicted = [row for row, before in zip(oldest, freed, strict=False) if before < excess]
    _delete_rows(session, store, [row.place for row in evicted])
    return [row.storage_key for row in evicted]


def _login_is_over() -> ColumnElement[bool]:
    long_ago = func.now() - LOGIN_RETENTION
    return or_(Login.expires_at < long_ago, Login.revoked_at < long_ago)


def _delete_batch(
    session: Session, table: type[Base], *conditions: ColumnElement[bool], limit: int | None = None
) -> int:
    rows = select(_row_location(table)).select_from(table).where(*conditions).limit(limit or BATCH_ROWS)
    return _delete_rows(
        session, table, session.scalars(rows.with_for_update(of=table, skip_locked=True)).all()
    )


def _row_location(table: type[Base]) -> ColumnElement[str]:
    """Return the physical address of a row. A locked row cannot move, so it is found again without an index."""
    return literal_column(f"{table.__tablename__}.ctid")


def _delete_rows(session: Session, table: type[Base], locations: Sequence[str]) -> int:
    if locations:
        is_located = text("ctid = ANY(CAST(:places AS tid[]))").bindparams(places=list(locations))
        session.execute(delete(table).where(is_located).execution_options(synchronize_session=False))
    return len(locations)
