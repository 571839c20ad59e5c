"""`python -m shared.migrations [upgrade|downgrade] [revision]` upgrades or downgrades the database."""

from __future__ import annotations

import sys

from shared.db import make_engine
from shared.migrations.run import migrate
from shared.settings import settings

USAGE = "usage: python -m shared.migrations [upgrade|downgrade] [revision]\n"


def main(arguments: list[str]) -> int:
    """Migrate the database that the settings name."""
    direction = arguments[0] if arguments else "upgrade"
    if direction not in ("upgrade", "downgrade") or (direction == "downgrade" and len(arguments) != 2):
        sys.stderr.write(USAGE)
        return 2
    migrate(make_engine(settings()), direction, arguments[1] if len(arguments) > 1 else "head")
    return 0


sys.exit(main(sys.argv[1:]))
