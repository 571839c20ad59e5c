"""Prepared statements: Postgres parses and plans them once per connection, and SQLAlchemy builds them once.

Use them only for statements that find their rows by a key, or by an index whose condition stands in the text: the plan
is made without looking at the arguments. https://www.postgresql.org/docs/current/sql-prepare.html
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ClauseElement, Dialect, Executable, TextClause
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.compiler import SQLCompiler

# The psycopg dialect writes the parameters' types into the statement; PREPARE needs them.
_CASTING: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class PreparedStatement:
    """A statement and the name under which a connection prepares it.

    `returns` are the columns that come back, in order, so that the statement itself need not carry their types.
    `columns` are those that an INSERT is given.
    """

    def __init__(
        self,
        name: str,
        statement: ClauseElement,
        *,
        returns: Sequence[Any] = (),
        columns: Sequence[str] | None = None,
    ) -> None:
        self._name = name
        self._statement = statement
        self._returns = returns
        self._columns = columns

    @cached_property
    def _compiled(self) -> SQLCompiler:
        return cast("SQLCompiler", self._statement.compile(dialect=_CASTING, column_keys=self._columns))

    @cached_property
    def _prepare(self) -> TextClause:
        numbers = {name: f"${at}" for at, name in enumerate(self._compiled.params, 1)}
        return text(f"PREPARE {self._name} AS {self._compiled.string % numbers}")

    @cached_property
    def _execute(self) -> Executable:
        fixed = {name: bind for name, bind in self._compiled.binds.items() if not bind.required}
        binds = [
            bindparam(name, fixed[name].value, type_=fixed[name].type)
            if name in fixed
            else bindparam(name, type_=self._compiled.binds[name].type)
            for name in self._compiled.params
        ]
        names = ", ".join(f":{bind.key}" for bind in binds)
        execute = text(f"EXECUTE {self._name}({names})").bindparams(*binds)
        return execute.columns(*self._returns) if self._returns else execute

    def prepare(self, session: Session) -> Executable:
        """Prepare it on the session's connection if needed, and return the statement that executes it."""
        connection = session.connection()
        known: set[str] = connection.info.setdefault("prepared", set())
        if self._name not in known:
            connection.execute(self._prepare)
            known.add(self._name)
        return self._execute
