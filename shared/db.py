"""Connects to Postgres: one engine per process, sessions from it, and a limit on every wait. It knows no table."""

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

PING_AFTER_IDLE_SECONDS = 1.0  # a server cannot restart within it


def _milliseconds(value: timedelta) -> int:
    return int(value.total_seconds() * 1000)


def make_engine(config: Settings) -> Engine:
    """Return an engine whose every wait is bounded: for a connection, a statement, a lock, an idle transaction."""
    limits = (
        f"-c statement_timeout={_milliseconds(config.statement_timeout)}"
        f" -c lock_timeout={_milliseconds(config.lock_timeout)}"
        " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    )
    arguments: dict[str, Any] = {
        "connect_timeout": 3,
        "application_name": "scenemill",
        "options": limits,
        # The kernel notices a peer that vanished; without these a request would hang on its connection.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    engine = create_engine(
        config.database_url,
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # the connection last returned was just used, so it needs no ping and has its prepared statements
        pool_recycle=1800,
        connect_args=arguments,
        hide_parameters=True,  # scripts and hashes must not reach the log
    )
    _ping_idle_connections(engine)
    return engine


def _ping_idle_connections(pool_of: Engine) -> None:
    """Ping a connection that was idle before it is used; one that was used a moment ago is not pinged.

    SQLAlchemy's `pool_pre_ping` pings every time, which under load costs a round trip for every transaction.
    """

    @event.listens_for(pool_of, "checkin")
    def _note(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(pool_of, "checkout")
    def _ping(connection: Any, record: Any, _: Any) -> None:
        # A connection that was just used cannot have died: the server needs longer to restart.
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
    """Yield a session and commit when the block ends; raise Unavailable when Postgres cannot be reached."""
    try:
        with _session_factory().begin() as session:
            yield session
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached. Try again shortly.") from error


@contextmanager
def autocommit_session() -> Iterator[Session]:
    """Yield a session whose statements commit by themselves: one query then costs one round trip instead of three."""
    try:
        with _session_factory()() as session, _autocommit(session):
            yield session
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached. Try again shortly.") from error


@contextmanager
def _autocommit(session: Session) -> Iterator[None]:
    """Let each statement be its own transaction.

    It is set on the driver: SQLAlchemy's isolation levels would send a statement before and after.
    """
    connection: Any = session.connection().connection.driver_connection
    # The connection returns to the pool afterwards, so it is set back even when the block fails.
    connection.autocommit = True
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit = False


def after_fork() -> None:
    """Drop the parent's connections without closing them: the parent still uses their sockets."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)
