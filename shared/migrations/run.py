"""Run migrations on an engine; two processes that start at once take turns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_LOCK = 7_310_519_042_017  # any number that nobody else uses


def migrate(engine: Engine, direction: str = "upgrade", revision: str = "head") -> None:
    """Upgrade or downgrade to a revision in one transaction, behind an advisory lock."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)
