"""Removes files that nobody names: what attempts and requests left behind whose process died."""

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

# A file that no row names is left alone for this long: its row may be about to be written. It was dated by the storage's
# clock and is judged by ours, which may be an hour ahead.
ORPHAN_AGE = 3 * 3600.0
ORPHAN_BATCH = 1000
_LOCK = "orphan-files"
# To look through ten million files takes minutes, and in a bucket every thousand costs a request. It is done for at most
# a twentieth of the time; where it takes seconds, in each round.
PAUSE_FACTOR = 20
SHORT_SCAN_SECONDS = 15.0
_PAUSED_KEY = "scenemill:orphans:resting"


def remove_orphans(config: Settings) -> dict[str, int]:
    """Remove what is nobody's, and return how much of each kind."""
    kinds: dict[str, Callable[[], int]] = {
        "upload_files": partial(unfinished_uploads.remove_orphans, config),
        "orphan_files": remove_orphan_files,
        "work_folders": partial(_remove_stale_workdirs, config),
    }
    return {name: run_or_postpone(name, remove) for name, remove in kinds.items()}


def remove_orphan_files() -> int:
    """Remove files of storage that no row names, once they are old enough to be nobody's. One looks through them at a time."""
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
    """Remove the folders of attempts whose worker died without cleaning up."""
    before, removed = time.time() - 2 * config.render_timeout.total_seconds(), 0
    for folder in config.work_dir.glob("*"):
        with suppress(FileNotFoundError):  # it ended meanwhile
            if folder.name != unfinished_uploads.FOLDER_NAME and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed
