"""One stack for the whole session; a test that kills what others need starts its own."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.brokers import rabbitmq, sentinel
from tests.e2e.stack import QUICK, Stack
from tests.loopback.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Not below pytest's own folder: another session of pytest would close that one to Postgres's user.
PREFIX = "scenemill-"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker",
        choices=("redis", "rabbitmq", "sentinel"),
        default="redis",
        help="what carries the messages of the stack that is tested",
    )
    parser.addoption(
        "--storage",
        choices=("folder", "bucket"),
        default="folder",
        help="what holds the files of the stack that is tested",
    )


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Callable[[], Mapping[str, str]]]:
    """Give what gives each stack the settings of a part of the broker of its own; none for the stack's own Redis."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        match pytestconfig.getoption("--broker", "redis"):
            case "rabbitmq":
                with rabbitmq.running(Path(folder)) as rabbit:
                    yield lambda: {"SCENEMILL_BROKER_URL": rabbit.another()}
            case "sentinel":
                with sentinel.running(Path(folder)) as group:
                    databases = itertools.count(step=2)
                    yield lambda: group.settings(next(databases))
            case _:
                yield dict


@pytest.fixture(scope="session")
def storage(pytestconfig: pytest.Config) -> Iterator[Mapping[str, str]]:
    """Give the settings that name the storage; none for the stack's own folder."""
    if pytestconfig.getoption("--storage", "folder") == "folder":
        yield {}
        return
    with S3() as bucket:
        yield bucket.settings("e2e")


@pytest.fixture(scope="session")
def stack(broker: Callable[[], Mapping[str, str]], storage: Mapping[str, str]) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        one = Stack(Path(folder), {**QUICK, **broker(), **storage}).start()
        yield one
        one.stop()


@pytest.fixture(scope="session")
def faulty(broker: Callable[[], Mapping[str, str]]) -> Iterator[Stack]:
    """A stack whose parts are killed: each test leaves it to recover by itself, as it does for whoever runs it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        one = Stack(Path(folder), {**QUICK, "SCENEMILL_SHUTDOWN_GRACE": "1", **broker()}).start()
        yield one
        one.stop()
