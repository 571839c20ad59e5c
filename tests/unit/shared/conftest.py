"""Storages for tests that need files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.settings import Settings
from shared.storage.s3 import S3Storage, open_bucket
from tests.loopback.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def bucket(s3: S3, tmp_path: Path) -> S3Storage:
    return another(s3, tmp_path / "copies")


def another(s3: S3, folder: Path, **more: Any) -> S3Storage:
    """Return the same storage as another machine sees it."""
    told = {
        name.removeprefix("SCENEMILL_").lower(): value for name, value in s3.settings("some/prefix").items()
    }
    places: dict[str, Any] = {
        "database_url": "x",
        "broker_url": "x",
        "redis_url": "x",
        "storage_cache_dir": folder,
    }
    return open_bucket(Settings(**{**places, **told, "s3_timeout": timedelta(seconds=0.3), **more}))
