"""Makes psycopg2 give way: while Postgres works, other greenlets run, and no wait for it is without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.socket import wait_read, wait_write
from psycopg2 import OperationalError, extensions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 (a type is written with a capital)

CONNECT_SECONDS = 3.0  # libpq's own connect_timeout does not hold when it does not block
PING_SECONDS = 3.0  # to tell whether a pooled connection still leads anywhere
STATEMENT_SECONDS = 20.0  # longer than any statement may take: past it the server is gone, or stopped


def install() -> None:
    """Have all of this process's connections wait cooperatively. For processes that gevent has patched, or will."""
    extensions.set_wait_callback(wait_for_postgres)


def wait_for_postgres(connection: Connection) -> None:
    """Wait until the connection has done what it was asked to do, or raise; it is closed then."""
    seconds = _timeout_of(connection)
    late = OperationalError("The database does not answer.")
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), timeout=seconds, timeout_exc=late)
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), timeout=seconds, timeout_exc=late)
        else:
            raise OperationalError("The database connection is in an unknown state.")


def _timeout_of(connection: Connection) -> float:
    if connection.status == extensions.STATUS_SETUP:
        return CONNECT_SECONDS
    # SQLAlchemy asks whether a connection lives with autocommit on, and works with it off.
    return PING_SECONDS if connection.autocommit else STATEMENT_SECONDS
