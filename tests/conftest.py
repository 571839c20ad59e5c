"""Real servers for the whole session: started when the first test asks, on free ports, gone at the end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.local import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

# What may take long is begun first, and what takes milliseconds fills in at the end where a process has nothing left.
# The stacks of e2e stay up from their first test to the end: they come late.
ORDER = ("integration", "chaos", "e2e", "unit")
# Files whose tests share a stack are one process's: else each would start it.
TOGETHER = {
    "tests/e2e/test_docs.py": "stack",
    "tests/e2e/test_main_job.py": "stack",
    "tests/e2e/test_templates.py": "stack",
    "tests/e2e/test_faults.py": "faulty",
    "tests/e2e/test_rolling.py": "faulty",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where tests are handed out

    class ByStack(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    config.option.loadscopereorder = False  # by the number of tests, those that take longest would come last
    return ByStack(config, log)


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
