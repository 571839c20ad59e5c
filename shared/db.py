"""The way to Postgres: an engine and a session a process, with limits on every wait. It knows no table."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import Unavailable
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

PING_AFTER_IDLE_SECONDS = 1.0  # no server is stopped and started again within them


def _milliseconds(value: timedelta) -> int:
    return int(value.total_seconds() * 1000)


def make_engine(config: Settings) -> Engine:
    """Make an engine. Every wait of it is bounded: for a connection, a statement, a lock, an idle transaction."""
    limits = (
        f"-c statement_timeout={_milliseconds(config.statement_timeout)}"
        f" -c lock_timeout={_milliseconds(config.lock_timeout)}"
        " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    )
    arguments: dict[str, Any] = {
        "connect_timeout": 3,
        "application_name": "scenemill",
        "options": limits,
        # A peer that vanished without a word is noticed by the kernel, not by a request that hangs.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    made = create_engine(
        config.database_url,
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # what was used last is prepared, and need not be asked whether it lives
        pool_recycle=1800,
        connect_args=arguments,
        hide_parameters=True,  # scripts and hashes are nobody's business in a log
    )
    _ping_idle_connections(made)
    return made


def _ping_idle_connections(pool_of: Engine) -> None:
    """Ask whether a connection still lives before it is used, unless it was used a moment ago.

    SQLAlchemy's own pre-ping asks each time, which under load is a round trip for every transaction.
    """

    @event.listens_for(pool_of, "checkin")
    def _note(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(pool_of, "checkout")
    def _ping(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < PING_AFTER_IDLE_SECONDS:
            return
        try:
            pool_of.dialect.do_ping(connection)
        except pool_of.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return this process's engine."""
    return make_engine(settings())


@lru_cache(maxsize=1)
def _session_factory() -> sessionmaker[Session]:
    return sessionmaker(engine(), expire_on_commit=False)


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session, commit at the end; Postgres being away becomes `Unavailable`."""
    try:
        with _session_factory().begin() as session:
            yield session
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached. Try again shortly.") from error


@contextmanager
def autocommit_session() -> Iterator[Session]:
    """Open a session without a transaction: for what asks one thing, and is spared the words before and after it."""
    try:
        with _session_factory()() as session, _autocommit(session):
            yield session
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached. Try again shortly.") from error


@contextmanager
def _autocommit(session: Session) -> Iterator[None]:
    """Have each statement be its own transaction.

    The driver is told, not SQLAlchemy: by its isolation levels it would name one to the server, before and after.
    """
    connection: Any = session.connection().connection.driver_connection
    connection.autocommit = True
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit = False


def after_fork() -> None:
    """Forget connections that belong to the parent, without closing them under its feet."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)
