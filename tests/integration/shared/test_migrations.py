"""Migrations go up and down, and end where the models are."""

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


def test_they_go_up_down_and_up_again(empty: Engine) -> None:
    migrate(empty)
    migrate(empty, "downgrade", "base")
    assert inspect(empty).get_table_names() == ["alembic_version"]

    migrate(empty)
    migrate(empty)

    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_every_table_but_the_accounts_names_an_account(empty: Engine) -> None:
    migrate(empty)

    # What is guessed at need not exist, and a guess is nobody's row.
    tables = set(inspect(empty).get_table_names()) - {"alembic_version", "accounts", "guesses"}

    assert {
        table for table in tables
        if "account_id" not in {column["name"] for column in inspect(empty).get_columns(table)}
    } == set()  # fmt: skip
