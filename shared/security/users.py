"""Users, who log in with a password: operators create, change and delete them. Functions never commit."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from shared.models import Account, Login, User

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

# ASCII only, so that no two names look the same.
USERNAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}"
ONE_TIME_PASSWORD_LIFETIME = timedelta(days=7)  # until it is used


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a user name before its password is checked."""

    user_id: uuid.UUID
    account_id: uuid.UUID
    password_hash: str


def create_user(
    session: Session,
    account_id: uuid.UUID,
    username: str,
    password_hash: str,
    scopes: Sequence[str],
    *,
    one_time: bool,
) -> User | None:
    """Create a user; return None if the name is taken."""
    if session.scalar(select(User.id).where(User.username == username)) is not None:
        return None
    row = User(
        id=uuid.uuid4(),
        account_id=account_id,
        username=username,
        password_hash=password_hash,
        one_time_until=func.now() + ONE_TIME_PASSWORD_LIFETIME if one_time else None,
        scopes=list(scopes),
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def list_users(session: Session, account_id: uuid.UUID) -> list[User]:
    """Return an account's users by name."""
    return list(session.scalars(select(User).where(User.account_id == account_id).order_by(User.username)))


def lock_user(session: Session, user_id: uuid.UUID) -> User | None:
    """Return a user, locked until the transaction ends."""
    # key_share: logins that reference the user need not wait for this lock.
    return session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)


def find_candidate(session: Session, username: str) -> Candidate | None:
    """Return the user of this name, with its password hash."""
    row = session.execute(
        select(User.id, User.account_id, User.password_hash).where(User.username == username)
    ).first()
    return Candidate(*row) if row else None


def may_log_in(session: Session, user: User) -> bool:
    """Return whether the user and its account are enabled, and a one-time password has not expired."""
    expired = user.one_time_until is not None and session.scalar(select(func.now() > user.one_time_until))
    disabled = session.scalar(select(Account.disabled_at).where(Account.id == user.account_id))
    return user.disabled_at is None and disabled is None and not expired


def set_password(session: Session, user: User, password_hash: str, *, one_time: bool) -> None:
    """Set a password, and end all logins by the former one."""
    user.password_hash = password_hash
    user.one_time_until = (
        session.scalar(select(func.now() + ONE_TIME_PASSWORD_LIFETIME)) if one_time else None
    )
    # Whoever knows the former password must not stay logged in.
    end_logins(session, user.id)


def update_user(session: Session, user: User, values: dict[str, Any]) -> None:
    """Set a user's scopes, or disable or enable it. Disabling ends its logins for good."""
    if "scopes" in values:
        user.scopes = list(values["scopes"])
    if "disabled" in values:
        if values["disabled"] and user.disabled_at is None:
            user.disabled_at = session.scalar(select(func.now()))
            end_logins(session, user.id)
        elif not values["disabled"]:
            user.disabled_at = None
    session.flush()


def delete_user(session: Session, user_id: uuid.UUID) -> uuid.UUID | None:
    """Delete a user with its logins and return its account; None if there is no such user."""
    return session.scalar(delete(User).where(User.id == user_id).returning(User.account_id))


def end_logins(session: Session, user_id: uuid.UUID) -> None:
    """Revoke all tokens of a user."""
    session.execute(
        update(Login)
        .where(Login.user_id == user_id, Login.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
