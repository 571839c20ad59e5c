"""The keys of stored files, and which of them a table row references. What no row references is an orphan."""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.models import Artifact, Asset, StoredMix, StoredSegment, StoredSpeech

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from shared.models import Job

ARTIFACTS = "artifacts"
_Table = type[Artifact] | type[Asset] | type[StoredSegment] | type[StoredSpeech] | type[StoredMix]
# By the first folder of a key; each of these tables has an index on `storage_key`.
_STORES: dict[str, _Table] = {
    "assets": Asset,
    "segments": StoredSegment,
    "speech": StoredSpeech,
    "mixes": StoredMix,
}


def artifact_key(job: Job, name: str) -> str:
    """Return the storage key of an attempt's file. It holds the attempt, so that no other attempt can overwrite it."""
    return f"{ARTIFACTS}/{job.account_id}/{job.id}/{job.attempt}/{name}"


def referenced_keys(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those of the keys that some row references.

    Artifacts are most of all rows and are looked up by job, which is indexed. Only a key of no known folder is searched
    for in every table, without an index.
    """
    jobs = {key: job_id for key in keys if (job_id := _job_id_of(key))}
    rest: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        if key not in jobs:
            rest[key.partition("/")[0]].append(key)
    queries = (
        [_select_keys(Artifact, list(jobs)).where(Artifact.job_id.in_(set(jobs.values())))] if jobs else []
    )
    for folder, some in rest.items():
        tables: Iterable[_Table] = [_STORES[folder]] if folder in _STORES else (Artifact, *_STORES.values())
        queries += [_select_keys(table, some) for table in tables]
    return {key for query in queries for key in session.scalars(query)}


def _select_keys(table: _Table, keys: Sequence[str]) -> Select[str]:
    return select(table.storage_key).where(table.storage_key.in_(keys))


def _job_id_of(key: str) -> uuid.UUID | None:
    folder, _, rest = key.partition("/")
    _, _, rest = rest.partition("/")
    try:
        return uuid.UUID(rest.partition("/")[0]) if folder == ARTIFACTS else None
    except ValueError:
        return None
