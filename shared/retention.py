"""The rules of throwing away: which finished jobs, answers and records are past their time. Functions never commit.

Each takes a bounded bite and returns how much that was; rows that another one holds are skipped.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, or_, select, tuple_

from shared.models import (
    ApiKey,
    Artifact,
    AuditEvent,
    Batch,
    Delivery,
    DisabledAddress,
    Guess,
    IdempotencyKey,
    Job,
    Login,
    RefreshToken,
    Segment,
    Upload,
    WebhookSecret,
)
from shared.states import FINISHED
from shared.uploads import UploadState

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from shared.models import Base

BITE = 500
PIECES = 5000  # rows that go with those of a bite: a long video has thousands of segments
LOGINS_KEPT = timedelta(days=1)  # after their end, so that a late thief is still told from noise


def remove(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> list[str] | None:
    """Delete a finished job and return the storage keys of its artifacts; None when it is missing or unfinished."""
    held = (
        select(Job.id, Job.batch_id)
        .where(Job.account_id == account_id, Job.id == job_id, Job.state.in_(FINISHED))
        .with_for_update()
    )
    found = session.execute(held).all()
    return _thrown(session, found) if found else None


def expired(session: Session) -> tuple[int, list[str]]:
    """Delete finished jobs whose time is over; return how many, and the storage keys of their artifacts."""
    pieces = select(func.count()).where(Segment.job_id == Job.id).scalar_subquery()
    over = session.execute(
        select(Job.id, Job.batch_id, pieces.label("pieces"))
        .where(Job.expires_at < func.now(), Job.state.in_(FINISHED))
        .limit(BITE)
        .with_for_update(of=Job, skip_locked=True)
    ).all()
    sums = accumulate(row.pieces for row in over)
    fitting = sum(1 for total in sums if total <= PIECES) or 1
    return len(over[:fitting]), _thrown(session, over[:fitting])


def _thrown(session: Session, gone: Sequence[Any]) -> list[str]:
    ids = [row.id for row in gone]
    if not ids:
        return []
    keys = list(session.scalars(select(Artifact.storage_key).where(Artifact.job_id.in_(ids))))
    session.execute(delete(Job).where(Job.id.in_(ids)))
    if batches := {row.batch_id for row in gone} - {None}:
        _emptied(session, batches)
    return keys


def _emptied(session: Session, batches: set[uuid.UUID]) -> None:
    """Have finished batches go with the last of their jobs.

    They are held first: of two who throw away the last two, the second must see what the first did.
    """
    held = select(Batch.id).where(Batch.id.in_(batches), Batch.finished_at.is_not(None))
    ids = session.scalars(held.order_by(Batch.id).with_for_update()).all()
    left = exists().where(Job.batch_id == Batch.id)
    session.execute(delete(Batch).where(Batch.id.in_(ids), ~left))


def keys(session: Session, *, kept: timedelta) -> int:
    """Forget the idempotency keys that are past their time."""
    key = (IdempotencyKey.account_id, IdempotencyKey.key)
    return _forget(session, IdempotencyKey, key, IdempotencyKey.created_at < func.now() - kept)


def deliveries(session: Session, *, kept: timedelta) -> int:
    """Forget webhooks that were delivered or given up long ago, with all their tries."""
    old = (Delivery.state != "pending", Delivery.finished_at < func.now() - kept)
    return _forget(session, Delivery, (Delivery.id,), *old)


def secrets(session: Session) -> int:
    """Forget what has signed webhooks, once nothing is signed with it any more."""
    return _forget(session, WebhookSecret, (WebhookSecret.id,), WebhookSecret.retires_at < func.now())


def addresses(session: Session, *, kept: timedelta) -> int:
    """Forget which addresses were gone long ago: should anything be sent there again, one message finds it out."""
    key = (DisabledAddress.account_id, DisabledAddress.url)
    return _forget(session, DisabledAddress, key, DisabledAddress.at < func.now() - kept)


def events(session: Session, *, kept: timedelta) -> int:
    """Forget who did what long ago. Their ids go up with time, so that no other index is needed to find the oldest."""
    oldest = select(AuditEvent.id, AuditEvent.at < func.now() - kept).order_by(AuditEvent.id).limit(BITE)
    rows = session.execute(oldest.with_for_update(skip_locked=True)).all()
    return _delete(session, AuditEvent, (AuditEvent.id,), [row[:1] for row in rows if row[1]])


def tokens(session: Session) -> int:
    """Forget the refresh tokens of log-ins that are over: one that was renewed without a pause has a million."""
    over = exists().where(Login.id == RefreshToken.login_id, _over())
    return _forget(session, RefreshToken, (RefreshToken.token_hash,), over, bite=PIECES)


def logins(session: Session) -> int:
    """Forget log-ins that ended long enough ago, once nothing descends from them."""
    bare = ~exists().where(RefreshToken.login_id == Login.id)
    return _forget(session, Login, (Login.id,), _over(), bare)


def api_keys(session: Session, *, kept: timedelta) -> int:
    """Forget keys that were revoked long ago, once no log-in began with them."""
    unused = ~exists().where(Login.key_id == ApiKey.id)
    return _forget(session, ApiKey, (ApiKey.id,), ApiKey.revoked_at < func.now() - kept, unused)


def guesses(session: Session) -> int:
    """Forget the guesses that count for nothing any more."""
    return _forget(session, Guess, (Guess.subject,), Guess.forgotten_at < func.now())


def uploads(session: Session, *, kept: timedelta) -> int:
    """Forget uploads that have been over for long enough; an asset that one has become stays."""
    over = (Upload.state != UploadState.OPEN, Upload.expires_at < func.now() - kept)
    return _forget(session, Upload, (Upload.id,), *over)


def _over() -> ColumnElement[bool]:
    long_ago = func.now() - LOGINS_KEPT
    return or_(Login.expires_at < long_ago, Login.revoked_at < long_ago)


def _forget(
    session: Session,
    table: type[Base],
    key: Sequence[InstrumentedAttribute[Any]],
    *which: ColumnElement[bool],
    bite: int | None = None,
) -> int:
    held = select(*key).where(*which).limit(bite or BITE).with_for_update(of=table, skip_locked=True)
    return _delete(session, table, key, session.execute(held).all())


def _delete(
    session: Session,
    table: type[Base],
    key: Sequence[InstrumentedAttribute[Any]],
    rows: Sequence[Sequence[Any]],
) -> int:
    if rows:
        gone = tuple_(*key).in_([tuple(row) for row in rows])
        session.execute(delete(table).where(gone).execution_options(synchronize_session=False))
    return len(rows)
