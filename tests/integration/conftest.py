"""A migrated database, and sessions whose commits are undone at the test's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from shared.db import connect
from shared.migrations.run import migrate
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def database(postgres_url: str) -> Iterator[Engine]:
    """Give an engine on a migrated database that the whole session shares."""
    config = Settings(
        database_url=postgres_url, broker_url="redis://", redis_url="redis://", storage_url="/nowhere"
    )
    engine = connect(config)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    """Give a session inside an outer transaction that is rolled back: its commits are savepoints."""
    with database.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as one:
            yield one
        outer.rollback()


@pytest.fixture
def storage_root(tmp_path: Path) -> Path:
    return tmp_path / "storage"
