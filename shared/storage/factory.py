"""Opens the storage that the settings name: a folder or an S3 bucket."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.settings import settings
from shared.storage.folder import FolderStorage

if TYPE_CHECKING:
    from shared.storage.base import Storage

BUCKET = "s3://"


@lru_cache(maxsize=1)
def storage() -> Storage:
    """Return this process's storage."""
    config = settings()
    if not config.storage_url.startswith(BUCKET):
        return FolderStorage(Path(config.storage_url.removeprefix("file://")))
    from shared.storage.s3 import open_bucket  # noqa: PLC0415 (its client takes 25 MB that a folder does not need)

    return open_bucket(config)
