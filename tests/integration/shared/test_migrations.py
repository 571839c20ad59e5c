"""Migrations go up and down, and end with the tables of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url

from shared.migrations.run import migrate
from shared.models import Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

pytestmark = pytest.mark.services


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Engine]:
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS migrated"))
        connection.execute(text("CREATE DATABASE migrated"))
    engine = create_engine(make_url(postgres_url).set(database="migrated"))
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE migrated"))
    server.dispose()


def test_migrations_go_up_down_and_up_again(empty: Engine) -> None:
    migrate(empty)
    migrate(empty, "downgrade", "base")
    assert inspect(empty).get_table_names() == ["alembic_version"]

    migrate(empty)
    migrate(empty)

    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_an_older_release_leaves_a_newer_database_as_it_is(empty: Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = _tables(empty)

    migrate(empty)

    assert _tables(empty) == before
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_the_first_release_can_still_write_its_tables(empty: Engine) -> None:
    """Workers of the former release go on while an upgrade is under way: what they write must still be taken."""
    migrate(empty, revision="0001")
    before = _tables(empty)

    migrate(empty)

    after = _tables(empty)
    assert set(before) <= set(after)
    for table, (columns, rules) in before.items():
        now, new_rules = after[table]
        assert {name: now.get(name) for name in columns} == columns, table
        added = {name: facts for name, facts in now.items() if name not in columns}
        assert [name for name, (_, nullable, default) in added.items() if not nullable and not default] == []
        assert new_rules <= rules, f"{table} refuses what it took"


def test_batches_without_jobs_are_deleted_by_the_migration(empty: Engine) -> None:
    migrate(empty, revision="0007")
    with empty.begin() as connection:
        connection.execute(text("INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'one')"))
        connection.execute(
            text(
                "INSERT INTO batches (id, account_id, total, finished_at) SELECT gen_random_uuid(), id, total, at"
                " FROM accounts, (VALUES (1, now()), (2, now()), (3, NULL)) AS given (total, at)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO jobs (id, account_id, batch_id, kind, max_attempts, spec, metadata)"
                " SELECT gen_random_uuid(), account_id, id, 'video', 1, '{}', '{}' FROM batches WHERE total = 2"
            )
        )

    migrate(empty)

    with empty.connect() as connection:
        assert set(connection.scalars(text("SELECT total FROM batches"))) == {2, 3}


def _tables(engine: Engine) -> dict[str, tuple[dict[str, tuple[str, bool, str | None]], set[str]]]:
    """Return each table's columns (type, whether it may be null, default), and what it refuses by unique keys and checks."""
    found = inspect(engine)
    return {
        table: (
            {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(table)
            },
            {str(index["name"]) for index in found.get_indexes(table) if index["unique"]}
            | {str(rule["name"]) for rule in found.get_check_constraints(table)}
            | {str(rule["name"]) for rule in found.get_foreign_keys(table)},
        )
        for table in found.get_table_names()
    }


def test_every_table_but_the_accounts_names_an_account(empty: Engine) -> None:
    migrate(empty)

    # What is guessed at need not exist, and a guess is nobody's row.
    tables = set(inspect(empty).get_table_names()) - {"alembic_version", "accounts", "guesses"}

    assert {
        table for table in tables
        if "account_id" not in {column["name"] for column in inspect(empty).get_columns(table)}
    } == set()  # fmt: skip
