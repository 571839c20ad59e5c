"""Real servers for the whole session: started when the first test asks, on free ports, gone at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workers.local import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of an empty database `scenemill` on a real Postgres."""
    # The data dies with the session, so that waiting for the disk proves nothing.
    with servers.postgres(tmp_path_factory.mktemp("postgres"), fsync="off") as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of database 0 on a real Redis."""
    with servers.redis(tmp_path_factory.mktemp("redis")) as url:
        yield url
