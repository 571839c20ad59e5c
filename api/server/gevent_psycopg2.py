"""Makes psycopg2 cooperative under gevent: other greenlets run while Postgres works, and every wait has a time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.socket import wait_read, wait_write
from psycopg2 import OperationalError, extensions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 (a type is written with a capital)

CONNECT_SECONDS = 3.0  # libpq ignores connect_timeout on non-blocking connections
PING_SECONDS = 3.0  # to find out whether a pooled connection is still alive
STATEMENT_SECONDS = 20.0  # above statement_timeout: past it the server is unreachable or stopped


def install() -> None:
    """Make all psycopg2 connections of this process wait cooperatively. Only for processes that gevent patches."""
    extensions.set_wait_callback(wait_for_postgres)


def wait_for_postgres(connection: Connection) -> None:
    """Wait until the connection's operation is done; after the time limit raise OperationalError, which closes it."""
    seconds = _timeout_of(connection)
    timeout = OperationalError("The database did not answer within the time limit.")
    # A loop: one wait is not enough, since an operation alternates between reading and writing.
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), timeout=seconds, timeout_exc=timeout)
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), timeout=seconds, timeout_exc=timeout)
        else:
            raise OperationalError("The database connection is in an unknown state.")


def _timeout_of(connection: Connection) -> float:
    if connection.status == extensions.STATUS_SETUP:
        return CONNECT_SECONDS
    # SQLAlchemy pings a pooled connection with autocommit on, and runs statements with it off.
    return PING_SECONDS if connection.autocommit else STATEMENT_SECONDS
