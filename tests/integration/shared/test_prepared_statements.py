"""Postgres parses and plans a prepared statement once per connection."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Integer, Interval, bindparam, column, event, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.prepared_statements import PreparedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

pytestmark = pytest.mark.services


@pytest.fixture
def asked(database: Engine) -> Iterator[list[str]]:
    """Every statement that this engine sends."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(database, "before_cursor_execute", note)
    yield seen
    event.remove(database, "before_cursor_execute", note)


def doubled(name: str) -> PreparedStatement:
    wanted = text("SELECT :number * 2 AS twice, '50%' AS part, :number AS again")
    return PreparedStatement(name, wanted.bindparams(bindparam("number", type_=Integer)))


def test_a_statement_is_prepared_once_per_connection(database: Engine, asked: list[str]) -> None:
    statement = doubled("one")
    with database.connect() as connection, Session(connection) as session:
        for number in (1, 2, 3):
            row = session.execute(statement.prepare(session), {"number": number}).one()
            assert tuple(row) == (2 * number, "50%", number)
            session.commit()

    assert [sum(one.startswith(what) for one in asked) for what in ("PREPARE one", "EXECUTE one")] == [1, 3]


def test_a_new_connection_prepares_the_statement_again(database: Engine, asked: list[str]) -> None:
    statement = doubled("each")
    with Session(database) as one, Session(database) as other:
        assert one.execute(statement.prepare(one), {"number": 1}).one().twice == 2
        assert other.execute(statement.prepare(other), {"number": 2}).one().twice == 4
        other.connection().invalidate()
        other.rollback()
        assert other.execute(statement.prepare(other), {"number": 3}).one().twice == 6

    assert sum(one.startswith("PREPARE") for one in asked) == 3


def test_a_prepared_statement_survives_a_rollback(database: Engine) -> None:
    statement = doubled("undone")
    with Session(database) as session:
        session.execute(statement.prepare(session), {"number": 1})
        session.rollback()
        assert session.execute(statement.prepare(session), {"number": 2}).one().twice == 4


def test_arguments_and_columns_keep_their_types(database: Engine) -> None:
    wanted = select(
        func.jsonb_build_object("given", bindparam("given", type_=JSONB)).label("document"),
        (func.make_interval(0, 0, 0, 1) + bindparam("more", type_=Interval)).label("later"),
    )
    statement = PreparedStatement(
        "typed", wanted, returns=[column("document", JSONB), column("later", Interval)]
    )
    with Session(database) as session:
        row = session.execute(
            statement.prepare(session), {"given": {"a": [1, None]}, "more": timedelta(hours=1)}
        ).one()

    assert (row.document, row.later) == ({"given": {"a": [1, None]}}, timedelta(days=1, hours=1))
