"""The first answer to a POST, kept with the work itself, so that asking again does nothing again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import delete, func, select

from shared.advisory_locks import try_lock_until_commit
from shared.errors import Conflict, IdempotencyKeyReused
from shared.models import IdempotencyKey

if TYPE_CHECKING:
    import uuid
    from datetime import timedelta

    from sqlalchemy.orm import Session


class RequestInProgress(Conflict):
    """The first request with the same Idempotency-Key is not answered yet."""

    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a POST was answered. `text` is the body as it was written then."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None


def fingerprint(*parts: bytes) -> str:
    """Return a hash that two requests share only if they ask for the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def find_and_lock(
    session: Session, account_id: uuid.UUID, key: str, mark: str, *, ttl: timedelta
) -> StoredResponse | None:
    """Return the first answer to this key, or None, and then nobody else may use the key until the transaction's end.

    Raise `UnderWay` while the first request is under way, `IdempotencyKeyReused` where it asked for something else.
    """
    if not try_lock_until_commit(session, f"{account_id}:{key}"):
        raise RequestInProgress("The first request with this Idempotency-Key is still under way.")
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.account_id == account_id,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at < func.now() - ttl,
        )
    )
    row = session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.account_id == account_id, IdempotencyKey.key == key)
    )
    if row is None:
        return None
    if row.fingerprint != mark:
        raise IdempotencyKeyReused("This Idempotency-Key was used for a request with another body.")
    return StoredResponse(row.status, row.body, row.headers, row.text)


def store(session: Session, account_id: uuid.UUID, key: str, mark: str, answer: StoredResponse) -> None:
    """Keep the answer, in the transaction of the work that it tells of."""
    session.add(
        IdempotencyKey(
            account_id=account_id,
            key=key,
            fingerprint=mark,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            text=answer.text,
        )
    )
