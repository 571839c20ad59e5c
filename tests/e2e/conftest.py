"""One stack for the whole session; a test that kills what others need starts its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    one = Stack(tmp_path_factory.mktemp("stack")).start()
    yield one
    one.stop()


@pytest.fixture
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack to be broken."""
    one = Stack(tmp_path_factory.mktemp("own"))
    yield one
    if one.process is not None and one.process.poll() is None:
        one.stop()
