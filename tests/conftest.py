"""Real servers for the whole session: started when the first test asks, on free ports, gone at the end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.local import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """Give a folder that another user may pass through, as Postgres must when root runs the tests.

    Not one of pytest's: a second session closes the folder above those to everyone else again.
    """
    with tempfile.TemporaryDirectory(prefix="scenemill-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def postgres_url(open_folder: Path) -> Iterator[str]:
    """Give the URL of an empty database `scenemill` on a real Postgres."""
    # The data dies with the session, so that waiting for the disk proves nothing.
    with servers.postgres(open_folder / "postgres", fsync="off") as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(open_folder: Path) -> Iterator[str]:
    """Give the URL of database 0 on a real Redis."""
    with servers.redis(open_folder / "redis") as url:
        yield url
