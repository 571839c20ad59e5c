"""One stack for the whole session; a test that kills what others need starts its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import QUICK, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not below pytest's own folder: another session of pytest would close that one to Postgres's user.
PREFIX = "scenemill-"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        one = Stack(Path(folder)).start()
        yield one
        one.stop()


@pytest.fixture(scope="session")
def faulty() -> Iterator[Stack]:
    """A stack whose parts are killed: each test leaves it to recover by itself, as it does for whoever runs it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        one = Stack(Path(folder), {**QUICK, "SCENEMILL_DRAIN": "1"}).start()
        yield one
        one.stop()
