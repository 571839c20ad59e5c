"""The rules of resumable uploads: how one begins, continues, and ends once, as an asset or without one.

Functions take a session and never commit. `received` counts only bytes that are safely on the disk. Each change is one
conditional UPDATE; no row back means that the upload has ended.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from shared.advisory_locks import lock_until_commit
from shared.errors import ConcurrencyLimitExceeded
from shared.models import Upload

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session


class UploadState(StrEnum):
    """The state of an upload. All but the first are final."""

    OPEN = "open"
    FINISHED = "finished"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    REFUSED = "refused"


def create(
    session: Session,
    account_id: uuid.UUID,
    *,
    length: int | None,
    meta: str | None,
    expiry: timedelta,
    max_open: int,
) -> Upload:
    """Begin an upload, or raise ConcurrencyLimitExceeded if the account has `max_open` open ones."""
    # Two uploads that begin at once must not both take the last place.
    lock_until_commit(session, f"uploads:{account_id}")
    unfinished = select(func.count()).where(
        Upload.account_id == account_id, Upload.state == UploadState.OPEN, Upload.expires_at > func.now()
    )
    if (session.scalar(unfinished) or 0) >= max_open:
        raise ConcurrencyLimitExceeded(
            f"This account may have {max_open} unfinished uploads. Finish or terminate some of them."
        )
    upload = Upload(
        id=uuid.uuid4(), account_id=account_id, length=length, meta=meta, expires_at=func.now() + expiry
    )
    session.add(upload)
    session.flush()
    session.refresh(upload)
    return upload


def find(session: Session, account_id: uuid.UUID, upload_id: uuid.UUID) -> Upload | None:
    """Return the account's upload, or None. An open one past its expiry becomes expired."""
    query = select(Upload, Upload.expires_at < func.now()).where(
        Upload.account_id == account_id, Upload.id == upload_id
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    upload, is_expired = row
    if is_expired and upload.state == UploadState.OPEN:
        upload.state = UploadState.EXPIRED
    return upload


def record_progress(
    session: Session, upload: Upload, received: int, *, length: int | None, expiry: timedelta
) -> datetime | None:
    """Record how many bytes are on the disk and return the new expiry; None if the upload has ended."""
    return session.scalar(
        update(Upload)
        # `received` too: a request that lost its lock meanwhile must not set the count back.
        .where(Upload.id == upload.id, Upload.state == UploadState.OPEN, Upload.received == upload.received)
        .values(received=received, length=length, expires_at=func.now() + expiry)
        .returning(Upload.expires_at)
    )


def finish(session: Session, upload_id: uuid.UUID, asset_id: uuid.UUID) -> bool:
    """Record which asset an upload has become; False if it has ended already."""
    return _end(session, upload_id, UploadState.FINISHED, asset_id)


def terminate(session: Session, upload_id: uuid.UUID) -> None:
    """End an upload, finished or not; an asset that it became stays."""
    session.execute(
        update(Upload).where(Upload.id == upload_id).values(state=UploadState.TERMINATED, asset_id=None)
    )


def end_upload(session: Session, upload_id: uuid.UUID, state: UploadState) -> bool:
    """End an open upload; False if it has ended already."""
    return _end(session, upload_id, state, None)


def _end(session: Session, upload_id: uuid.UUID, state: UploadState, asset_id: uuid.UUID | None) -> bool:
    done = session.scalar(
        update(Upload)
        .where(Upload.id == upload_id, Upload.state == UploadState.OPEN)
        .values(state=state, asset_id=asset_id)
        .returning(Upload.id)
    )
    return done is not None
