"""Log-ins and their refresh tokens. A refresh token is used once; a second use ends the log-in. Functions never commit.

Every change locks the log-in first, so that of two requests with the same refresh token one is the reuse.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from shared import accounts
from shared.accounts import Identity, checksum
from shared.models import Account, ApiKey, Login, RefreshToken, User

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from api.security.access_tokens import Claims

PREFIX = "sm_refresh"
_SHAPE = re.compile(rf"{PREFIX}_[0-9a-f]{{64}}_[0-9a-f]{{8}}")


class Renewal(StrEnum):
    """The outcome of using a refresh token."""

    DONE = "ended_id"
    UNKNOWN = "unknown"  # not a token of ours, or its log-in has ended
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a log-in: a user or an API key."""

    account_id: uuid.UUID
    user_id: uuid.UUID | None = None
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """The owner's id in audit events and in a token's `sub`."""
        return actor(self.user_id, self.key_id)


@dataclass(frozen=True, slots=True)
class Family:
    """An active log-in, with what its new tokens need."""

    login_id: uuid.UUID
    owner: Owner
    scopes: tuple[str, ...]
    seconds_left: float


def actor(user_id: uuid.UUID | None, key_id: str | None) -> str:
    """Return the id of a user (`user:…`) or key in audit events."""
    return f"user:{user_id}" if user_id else str(key_id)


def begin(
    session: Session, owner: Owner, scopes: Sequence[str], *, address: str, ttl: timedelta
) -> tuple[Family, str]:
    """Insert a log-in, and return it with its first refresh token."""
    row = Login(
        id=uuid.uuid4(),
        account_id=owner.account_id,
        user_id=owner.user_id,
        key_id=owner.key_id,
        scopes=list(scopes),
        address=address,
        expires_at=func.now() + ttl,
    )
    session.add(row)
    session.flush()
    return Family(row.id, owner, tuple(scopes), ttl.total_seconds()), _issue_refresh_token(
        session, owner.account_id, row.id
    )


def has_logged_in_from(session: Session, user_id: uuid.UUID, address: str) -> bool:
    """Return whether the user has a recent log-in from this address."""
    login = select(Login.id).where(Login.user_id == user_id, Login.address == address).limit(1)
    return session.scalar(login) is not None


def renew(session: Session, token: str) -> tuple[Renewal, Family | None, str | None]:
    """Exchange a refresh token for the next one. A reused token ends its log-in."""
    login_id = _find_login_id(session, token)
    if login_id is None or (family := _lock_family(session, login_id)) is None:
        return Renewal.UNKNOWN, None, None
    fresh = session.scalar(
        update(RefreshToken)
        .where(RefreshToken.token_hash == _hash(token), RefreshToken.used_at.is_(None))
        .values(used_at=func.now())
        .returning(RefreshToken.login_id)
    )
    if fresh is None:
        end(session, login_id)
        return Renewal.REUSED, family, None
    return Renewal.DONE, family, _issue_refresh_token(session, family.owner.account_id, login_id)


def find(session: Session, token: str) -> Family | None:
    """Return the active log-in of a refresh token, used or not, and lock it; or None."""
    login_id = _find_login_id(session, token)
    return _lock_family(session, login_id) if login_id else None


def find_by_id(session: Session, login_id: uuid.UUID) -> Family | None:
    """Return an active log-in and lock it; or None."""
    return _lock_family(session, login_id)


def end(session: Session, login_id: uuid.UUID) -> bool:
    """End a log-in with all of its tokens; return whether it was active."""
    ended_id = session.scalar(
        update(Login)
        .where(Login.id == login_id, Login.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(Login.id)
    )
    return ended_id is not None


def end_all(session: Session, account_id: uuid.UUID) -> None:
    """End all log-ins of an account."""
    session.execute(
        update(Login)
        .where(Login.account_id == account_id, Login.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


def identify(session: Session, claims: Claims) -> Identity | None:
    """Return the identity of an access token's claims by one query, or None where its log-in has ended."""
    row = session.execute(_active_logins([claims.login_id])).first()
    if row is None:
        return None
    owner = Owner(row.account_id, row.user_id, row.key_id)
    if owner.actor != claims.subject:
        return None
    # Scopes removed from the user or key since the token was issued no longer count.
    scopes = claims.scopes & _owner_scopes(row)
    return Identity(owner.account_id, owner.actor, scopes, login_id=claims.login_id)


def find_revoked(session: Session, callers: Collection[Identity]) -> set[Identity]:
    """Return those of the callers whose credentials have ended or lost a scope."""
    login_ids = [caller.login_id for caller in callers if caller.login_id]
    active: dict[uuid.UUID | str, frozenset[str]] = accounts.active_key_scopes(
        session, [caller.actor for caller in callers if not caller.login_id]
    )
    if login_ids:
        active |= {row.id: _owner_scopes(row) for row in session.execute(_active_logins(login_ids))}
    scopes_left = {caller: active.get(caller.login_id or caller.actor) for caller in callers}
    return {caller for caller, scopes in scopes_left.items() if scopes is None or not caller.scopes <= scopes}


def is_token(text: str) -> bool:
    """Return whether a text has the form of a refresh token, with the right checksum."""
    return bool(_SHAPE.fullmatch(text)) and checksum(text.rpartition("_")[0]) == text.rpartition("_")[2]


def _owner_scopes(row: Any) -> frozenset[str]:
    return frozenset(row.user_scopes if row.user_id else row.key_scopes)


def _active_logins(login_ids: Sequence[uuid.UUID]) -> Select[*tuple[Any, ...]]:
    """Select active log-ins, whose owners and accounts are neither disabled nor revoked."""
    return (
        select(
            Login.id, Login.account_id, Login.user_id, Login.key_id, Login.scopes,
            User.scopes.label("user_scopes"), ApiKey.scopes.label("key_scopes"),
            func.extract("epoch", Login.expires_at - func.now()).label("left"),
        )
        .join(Account, Account.id == Login.account_id)
        .outerjoin(User, User.id == Login.user_id)
        .outerjoin(ApiKey, ApiKey.id == Login.key_id)
        .where(
            Login.id.in_(login_ids), Login.revoked_at.is_(None), Login.expires_at > func.now(),
            Account.disabled_at.is_(None), User.disabled_at.is_(None), ApiKey.revoked_at.is_(None),
        )
    )  # fmt: skip


def _lock_family(session: Session, login_id: uuid.UUID) -> Family | None:
    # Of the log-in alone: Postgres refuses to lock the optional side of an outer join.
    row = session.execute(_active_logins([login_id]).with_for_update(of=Login)).first()
    if row is None:
        return None
    owner = Owner(row.account_id, row.user_id, row.key_id)
    return Family(login_id, owner, tuple(row.scopes), float(row.left))


def _find_login_id(session: Session, token: str) -> uuid.UUID | None:
    if not is_token(token):
        return None
    return session.scalar(select(RefreshToken.login_id).where(RefreshToken.token_hash == _hash(token)))


def _issue_refresh_token(session: Session, account_id: uuid.UUID, login_id: uuid.UUID) -> str:
    body = f"{PREFIX}_{secrets.token_hex(32)}"
    token = f"{body}_{checksum(body)}"
    session.add(RefreshToken(token_hash=_hash(token), account_id=account_id, login_id=login_id))
    session.flush()
    return token


def _hash(token: str) -> str:
    # A fast hash is enough for 256 random bits; and by looking up a hash, timing tells nothing about the token.
    return hashlib.sha256(token.encode()).hexdigest()
