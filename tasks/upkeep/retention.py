"""Deletes what has expired, in batches, until nothing is left or the round's time is over.

Each kind gets a batch in turn. A kind that a lock or an unreachable storage holds up is postponed and delays no other.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared import metrics
from shared.db import transaction
from shared.errors import Unavailable
from shared.lifecycle import retention
from shared.models import StoredMix, StoredSegment, StoredSpeech
from shared.storage import unfinished_uploads
from shared.storage.factory import storage
from tasks.lifecycle import recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy.orm import Session

    from shared.settings import Settings

log = logging.getLogger(__name__)

# Shorter than the interval between rounds: two rounds at once would take both slots of the control worker.
ROUND_SECONDS = 60.0
# Longer than any job takes: speech and mixes that a running job is about to use must stay.
SOUND_IDLE = timedelta(hours=6)


def purge(config: Settings) -> Counter[str]:
    """Delete expired jobs, old records, and what exceeds the stores' sizes; return how many of each kind."""
    return _run_in_turns(
        {**_record_removals(config), **_file_removals(config)}, time.monotonic() + ROUND_SECONDS
    )


def _record_removals(config: Settings) -> dict[str, Callable[[], int]]:
    older_than = config.record_retention
    kinds: dict[str, Callable[[Session], int]] = {
        "keys_forgotten": partial(retention.delete_idempotency_keys, older_than=config.idempotency_ttl),
        "deliveries_forgotten": partial(retention.delete_deliveries, older_than=older_than),
        "secrets_forgotten": retention.delete_retired_secrets,
        "addresses_forgotten": partial(retention.delete_disabled_addresses, older_than=older_than),
        "events_forgotten": partial(retention.delete_audit_events, older_than=older_than),
        "tokens_forgotten": retention.delete_refresh_tokens,
        "logins_forgotten": retention.delete_logins,
        "api_keys_forgotten": partial(retention.delete_revoked_keys, older_than=older_than),
        "guesses_forgotten": retention.delete_guesses,
        "uploads_forgotten": partial(retention.delete_uploads, older_than=config.upload_expiry),
        "segments_dropped": recovery.drop_segments,
    }
    return {name: partial(_run_in_transaction, kind) for name, kind in kinds.items()}


def _file_removals(config: Settings) -> dict[str, Callable[[], int]]:
    segments, spoken = config.segment_store_max_bytes, config.speech_store_max_bytes
    return {
        "expired": _delete_expired,
        "uploads_expired": partial(_expire_uploads, config),
        "segments_evicted": partial(_evict, StoredSegment, most=segments, idle=timedelta(0)),
        "speech_evicted": partial(_evict, StoredSpeech, most=spoken, idle=SOUND_IDLE),
        "mixes_evicted": partial(_evict, StoredMix, most=spoken, idle=SOUND_IDLE),
    }


def _run_in_turns(kinds: Mapping[str, Callable[[], int]], until: float) -> Counter[str]:
    """Run batches until they find nothing; start none after `until`. Each is a transaction of its own."""
    total: Counter[str] = Counter()
    left = dict(kinds)
    while left:
        taken = {name: run_or_postpone(name, batch) for name, batch in left.items()}
        total.update(taken)
        left = {name: kinds[name] for name, number in taken.items() if number}
        if time.monotonic() > until:
            break
    return total


def run_or_postpone(name: str, batch: Callable[[], int]) -> int:
    """Run a batch and return how many it deleted; 0 where a lock, the database or the storage holds it up."""
    try:
        return batch()
    except (Unavailable, OSError):
        log.warning("purge_failed", extra={"repair": name}, exc_info=True)
        metrics.swept.labels(repair="postponed").inc()
        return 0


def _run_in_transaction(kind: Callable[[Session], int]) -> int:
    with transaction() as session:
        return kind(session)


def _delete_expired() -> int:
    with transaction() as session:
        gone, keys = retention.delete_expired_jobs(session)
    _delete_files(keys)
    return gone


def _expire_uploads(config: Settings) -> int:
    """Expire idle uploads. Where their bytes are on the API's own disk, the API removes them itself."""
    with transaction() as session:
        over = recovery.expire_uploads(session)
    for upload_id in over:
        unfinished_uploads.remove_upload(config, upload_id)
    return len(over)


def _evict(store: retention.Store, *, most: int, idle: timedelta) -> int:
    with transaction() as session:
        keys = retention.evict(session, store, max_bytes=most, idle=idle)
    _delete_files(keys)
    return len(keys)


def _delete_files(keys: Iterable[str]) -> None:
    """Delete files that no row references any longer. What cannot be reached now is left to orphan cleanup."""
    for key in keys:
        storage().delete(key)
