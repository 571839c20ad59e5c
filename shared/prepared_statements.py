"""Statements that each job asks for: Postgres parses and plans them once a connection, and SQLAlchemy builds them once.

Only for what finds its rows by a key or by an index whose condition stands in the text: a plan is made without looking at
the arguments. https://www.postgresql.org/docs/current/sql-prepare.html
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

# It writes the types of arguments into the statement, which PREPARE must know.
_CASTING: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class PreparedStatement:
    """A statement and the name that Postgres knows it by, once a connection has used it.

    `returns` are the columns that come back, in order; the statement itself need not name their types then. `columns` are
    those that an INSERT is given.
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
        """Prepare it on the session's connection, unless it is, and return what executes it."""
        connection = session.connection()
        known: set[str] = connection.info.setdefault("prepared", set())
        if self._name not in known:
            connection.execute(self._prepare)
            known.add(self._name)
        return self._execute
