"""The rules of throwing away: which finished jobs, answers and records are past their time. Functions never commit.

Each takes a bounded bite and returns how much that was; rows that another one holds are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select, tuple_

from shared.models import Artifact, AuditEvent, Batch, Delivery, IdempotencyKey, Job
from shared.states import FINISHED

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Delete
    from sqlalchemy.orm import Session

BITE = 500


def expired(session: Session) -> tuple[int, list[str]]:
    """Delete the jobs whose time is over; return how many, and the storage keys of their artifacts.

    A finished batch goes with the last of its jobs.
    """
    over = session.execute(
        select(Job.id, Job.batch_id)
        .where(Job.expires_at < func.now(), Job.state.in_(FINISHED))
        .limit(BITE)
        .with_for_update(skip_locked=True)
    ).all()
    ids, batches = [row.id for row in over], {row.batch_id for row in over} - {None}
    keys = list(session.scalars(select(Artifact.storage_key).where(Artifact.job_id.in_(ids))))
    session.execute(delete(Job).where(Job.id.in_(ids)))
    left = exists().where(Job.batch_id == Batch.id)
    session.execute(delete(Batch).where(Batch.id.in_(batches), Batch.finished_at.is_not(None), ~left))
    return len(ids), keys


def keys(session: Session, *, kept: timedelta) -> int:
    """Forget the idempotency keys that are past their time."""
    key = (IdempotencyKey.account_id, IdempotencyKey.key)
    old = select(*key).where(IdempotencyKey.created_at < func.now() - kept)
    bite = old.limit(BITE).with_for_update(skip_locked=True)
    return _deleted(session, delete(IdempotencyKey).where(tuple_(*key).in_(bite)))


def deliveries(session: Session, *, kept: timedelta) -> int:
    """Forget webhooks that were delivered or given up long ago, with all their tries."""
    old = select(Delivery.id).where(Delivery.state != "pending", Delivery.finished_at < func.now() - kept)
    bite = old.limit(BITE).with_for_update(skip_locked=True)
    return _deleted(session, delete(Delivery).where(Delivery.id.in_(bite)))


def events(session: Session, *, kept: timedelta) -> int:
    """Forget who did what long ago. Their ids go up with time, so that no other index is needed to find the oldest."""
    oldest = select(AuditEvent.id, AuditEvent.at).order_by(AuditEvent.id).limit(BITE).subquery()
    old = select(oldest.c.id).where(oldest.c.at < func.now() - kept)
    return _deleted(session, delete(AuditEvent).where(AuditEvent.id.in_(old)))


def _deleted(session: Session, statement: Delete) -> int:
    return len(session.execute(statement.returning(1)).all())
