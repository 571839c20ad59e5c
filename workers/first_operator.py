"""Creates the first operator of an installation, directly in its database, with a one-time password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shared import accounts
from shared.errors import Unavailable
from shared.models import AuditEvent
from shared.security import passwords, users

if TYPE_CHECKING:
    import uuid

CONNECT_SECONDS = 5


def create_or_reset_operator(database_url: str, username: str, account: str) -> str:
    """Create a user with every scope, or reset one; return a one-time password, which is valid for a week.

    An existing user gets every scope, is enabled again, and stays in its account.
    """
    password = passwords.make_one_time_password()
    kept = passwords.hash_password(password)
    engine = create_engine(
        database_url, hide_parameters=True, connect_args={"connect_timeout": CONNECT_SECONDS}
    )
    try:
        with Session(engine) as session, session.begin():
            _write_operator(session, username.lower(), kept, account)
    except DBAPIError as error:
        raise Unavailable(
            "The database cannot be reached, or its tables are older than this program."
        ) from error
    finally:
        engine.dispose()
    return password


def _write_operator(session: Session, username: str, kept: str, account: str) -> None:
    found = users.find_candidate(session, username)
    user = users.lock_user(session, found.user_id) if found else None
    if user is None:
        account_id: uuid.UUID = accounts.ensure_account(session, account)
        user = users.create_user(session, account_id, username, kept, accounts.SCOPES, one_time=True)
        if user is None:
            raise Unavailable("Another process is creating this user: try again.")
    else:
        users.set_password(session, user, kept, one_time=True)
        users.update_user(session, user, {"scopes": accounts.SCOPES, "disabled": False})
    # No actor: whoever can reach the database did it, without a key or a user.
    session.add(
        AuditEvent(account_id=user.account_id, action="users.let_in", subject=f"user:{user.id}", actor=None)
    )
