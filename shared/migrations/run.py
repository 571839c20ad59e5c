"""Runs migrations on an engine; processes that start at once take turns.

A database that a newer release has upgraded is left as it is: migrations only add, so an older release still works with
it, in the middle of a rolling upgrade or after a rollback.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = logging.getLogger(__name__)

_LOCK = 7_310_519_042_017  # older releases use this number too, so it must not change


def migrate(engine: Engine, direction: str = "upgrade", revision: str = "head") -> None:
    """Upgrade or downgrade to a revision in one transaction, behind an advisory lock."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = MigrationContext.configure(connection).get_current_revision()
        if direction == "upgrade" and revision == "head" and not _is_known(config, found):
            log.warning("database_newer", extra={"revision": found})
            return
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def _is_known(config: Config, revision: str | None) -> bool:
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    return revision is None or revision in known
