"""Log-ins: what tokens live by. A refresh token is used once; a second use ends its whole family. Functions never commit.

Whatever touches a family locks its log-in first: of two who bring the same token, one is the second.
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
    """How a try to use a refresh token went."""

    DONE = "done"
    UNKNOWN = "unknown"  # no token of ours, or its log-in is over
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who logged in: a user, or a key's holder."""

    account_id: uuid.UUID
    user_id: uuid.UUID | None = None
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """Return the owner's name in the audit and in a token's `sub`."""
        return actor(self.user_id, self.key_id)


@dataclass(frozen=True, slots=True)
class Family:
    """A log-in that lives, with all that a new token of it needs."""

    login_id: uuid.UUID
    owner: Owner
    scopes: tuple[str, ...]
    seconds_left: float


def actor(user_id: uuid.UUID | None, key_id: str | None) -> str:
    """Return how a user or a key is written down: a key as its id."""
    return f"user:{user_id}" if user_id else str(key_id)


def begin(
    session: Session, owner: Owner, scopes: Sequence[str], *, address: str, ttl: timedelta
) -> tuple[Family, str]:
    """Write a log-in down and return it with its first refresh token."""
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
    """Tell whether the user has logged in from this address, not long ago."""
    found = select(Login.id).where(Login.user_id == user_id, Login.address == address).limit(1)
    return session.scalar(found) is not None


def renew(session: Session, token: str) -> tuple[Renewal, Family | None, str | None]:
    """Change a refresh token for the next one. One that was used before ends its family."""
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
    """Return the living family of a refresh token, used or not, locked; or None."""
    login_id = _find_login_id(session, token)
    return _lock_family(session, login_id) if login_id else None


def find_by_id(session: Session, login_id: uuid.UUID) -> Family | None:
    """Return a living family, locked; or None."""
    return _lock_family(session, login_id)


def end(session: Session, login_id: uuid.UUID) -> bool:
    """Let no token of the family open anything any more."""
    done = session.scalar(
        update(Login)
        .where(Login.id == login_id, Login.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(Login.id)
    )
    return done is not None


def end_all(session: Session, account_id: uuid.UUID) -> None:
    """End all log-ins of an account."""
    session.execute(
        update(Login)
        .where(Login.account_id == account_id, Login.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


def identify(session: Session, claims: Claims) -> Identity | None:
    """Return who brings an access token, by one look at its log-in, or None where that is over."""
    row = session.execute(_active_logins([claims.login_id])).first()
    if row is None:
        return None
    owner = Owner(row.account_id, row.user_id, row.key_id)
    if owner.actor != claims.subject:
        return None
    # What was taken from the user or the key since is taken from the token too.
    scopes = claims.scopes & _owner_scopes(row)
    return Identity(owner.account_id, owner.actor, scopes, login_id=claims.login_id)


def find_revoked(session: Session, callers: Collection[Identity]) -> set[Identity]:
    """Return which of these would not get in any more, or not with all their scopes."""
    login_ids = [one.login_id for one in callers if one.login_id]
    alive: dict[uuid.UUID | str, frozenset[str]] = accounts.active_key_scopes(
        session, [one.actor for one in callers if not one.login_id]
    )
    if login_ids:
        alive |= {row.id: _owner_scopes(row) for row in session.execute(_active_logins(login_ids))}
    held = {one: alive.get(one.login_id or one.actor) for one in callers}
    return {one for one, scopes in held.items() if scopes is None or not one.scopes <= scopes}


def is_token(text: str) -> bool:
    """Tell whether a text is shaped like a refresh token, checksum and all."""
    return bool(_SHAPE.fullmatch(text)) and checksum(text.rpartition("_")[0]) == text.rpartition("_")[2]


def _owner_scopes(row: Any) -> frozenset[str]:
    return frozenset(row.user_scopes if row.user_id else row.key_scopes)


def _active_logins(login_ids: Sequence[uuid.UUID]) -> Select[*tuple[Any, ...]]:
    """Select log-ins that are not over, of owners and accounts that are not disabled or revoked."""
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
    # 256 random bits: there is nothing to guess, and looking the hash up tells nothing of how near a guess came.
    return hashlib.sha256(token.encode()).hexdigest()
