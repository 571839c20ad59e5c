"""A migrated database, and sessions whose commits are undone at the test's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from shared import db
from shared.db import make_engine
from shared.migrations.run import migrate
from shared.settings import Settings, settings
from shared.storage.factory import storage

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
    engine = make_engine(config)
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


@pytest.fixture
def process(
    database: Engine, postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Make this process one of a running installation: its settings, its database, its storage."""
    named = {
        "DATABASE_URL": postgres_url,
        "BROKER_URL": redis_url,
        "REDIS_URL": redis_url,
        "STORAGE_URL": str(tmp_path / "storage"),
        "WORK_DIR": str(tmp_path / "work"),
        "ALLOW_PRIVATE_ADDRESSES": "true",
    }
    for name, value in named.items():
        monkeypatch.setenv(f"SCENEMILL_{name}", value)
    _forget()
    yield settings()
    db.engine().dispose()
    _forget()


def _forget() -> None:
    for remembered in (settings, db.engine, db._session_factory, storage):  # noqa: SLF001 (a process begins anew)
        remembered.cache_clear()
