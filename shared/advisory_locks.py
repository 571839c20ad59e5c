"""Advisory locks by name, held in Postgres for a transaction or for a block."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.db import engine
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session


def lock_id(name: str) -> int:
    """Return the 64-bit number that stands for this name in Postgres."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def lock_until_commit(session: Session, name: str) -> None:
    """Wait for the lock and hold it until the session's transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(lock_id(name))))


def try_lock_until_commit(session: Session, name: str) -> bool:
    """Return True if the transaction now holds the lock until it ends, False if another one holds it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(lock_id(name)))))


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Yield True while this process holds the lock, or False if another one holds it.

    The lock belongs to a connection, so no transaction stays open however long the block takes.
    """
    try:
        with engine().connect() as connection:
            # Without autocommit the SELECT would open a transaction, which Postgres ends after 30 s idle.
            session = connection.execution_options(isolation_level="AUTOCOMMIT")
            held = bool(session.scalar(select(func.pg_try_advisory_lock(lock_id(name)))))
            try:
                yield held
            finally:
                if held:
                    session.execute(select(func.pg_advisory_unlock(lock_id(name))))
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached. Try again shortly.") from error
