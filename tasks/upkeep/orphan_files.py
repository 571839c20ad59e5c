"""Orphan cleanup: removes stored files and work folders that no row references, left by processes that died."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from shared.advisory_locks import try_lock
from shared.db import transaction
from shared.storage import unfinished_uploads
from shared.storage.factory import storage
from tasks import storage_keys
from tasks.providers import response_cache
from tasks.upkeep.retention import run_or_postpone

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.settings import Settings

# Younger files are kept: their row may be about to be written. The storage's clock dates them and ours judges them, which
# may be an hour ahead.
ORPHAN_AGE = 3 * 3600.0
ORPHAN_BATCH = 1000
_LOCK = "orphan-files"
# A scan of ten million files takes minutes, and in a bucket every thousand files cost a request. After a long scan the
# next one waits for twenty times as long; short ones run in each round.
PAUSE_FACTOR = 20
SHORT_SCAN_SECONDS = 15.0
_PAUSED_KEY = "scenemill:orphans:resting"


def remove_orphans(config: Settings) -> dict[str, int]:
    """Remove orphaned uploads, stored files and work folders; return how many of each."""
    kinds: dict[str, Callable[[], int]] = {
        "upload_files": partial(unfinished_uploads.remove_orphans, config),
        "orphan_files": remove_orphan_files,
        "work_folders": partial(_remove_stale_workdirs, config),
    }
    return {name: run_or_postpone(name, remove) for name, remove in kinds.items()}


def remove_orphan_files() -> int:
    """Remove old files of storage that no row references; return how many. One process scans at a time."""
    with try_lock(_LOCK) as first:
        if not first or _is_paused():
            return 0
        began = time.monotonic()
        removed = _remove_unreferenced(time.time() - ORPHAN_AGE)
        _pause_after(time.monotonic() - began)
        return removed


def _remove_unreferenced(before: float) -> int:
    files = storage()
    removed = files.remove_unfinished(before)
    old = files.list_older_than(before)
    while keys := list(islice(old, ORPHAN_BATCH)):
        with transaction() as session:
            named = storage_keys.referenced_keys(session, keys)
        for key in set(keys) - named:
            files.delete(key)
            removed += 1
    return removed


def _is_paused() -> bool:
    try:
        return bool(response_cache.connection().exists(_PAUSED_KEY))
    except RedisError:
        return False


def _pause_after(took: float) -> None:
    if took > SHORT_SCAN_SECONDS:
        with suppress(RedisError):
            response_cache.connection().set(_PAUSED_KEY, "1", ex=int(PAUSE_FACTOR * took))


def _remove_stale_workdirs(config: Settings) -> int:
    """Remove the work folders of attempts whose worker died before it could."""
    before, removed = time.time() - 2 * config.render_timeout.total_seconds(), 0
    for folder in config.work_dir.glob("*"):
        with suppress(FileNotFoundError):  # the attempt ended meanwhile
            if folder.name != unfinished_uploads.FOLDER_NAME and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed
