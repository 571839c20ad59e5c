"""Files that nobody names, among those that somebody does, in a real folder and on a real database."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from shared.advisory_locks import try_lock
from shared.db import transaction
from shared.models import Account, Artifact, Asset, StoredMix, StoredSegment, StoredSpeech
from shared.states import State
from shared.storage.factory import storage
from tasks import storage_keys
from tasks.providers import response_cache
from tasks.upkeep import orphan_files
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

    from shared.models import Job
    from shared.settings import Settings

pytestmark = pytest.mark.services

ARTIFACT = {"name": "video.mp4", "position": 0, "media_type": "video/mp4", "bytes": 1, "sha256": "0" * 64}


def write(session: Session, job: Job, keys: dict[str, str]) -> None:
    """Have a row of each table name a file."""
    mine = {"account_id": job.account_id, "bytes": 1}
    stored = {**mine, "key": "k"}
    session.add_all(
        (
            Artifact(account_id=job.account_id, job_id=job.id, storage_key=keys["artifacts"], **ARTIFACT),
            Asset(
                id=uuid.uuid4(), storage_key=keys["assets"], sha256="", media_type="", facts={}, **mine
            ),
            StoredSegment(storage_key=keys["segments"], frames=1, **stored),
            StoredSpeech(storage_key=keys["speech"], facts={}, **stored),
            StoredMix(storage_key=keys["mixes"], **stored),
        )
    )  # fmt: skip
    session.flush()


def keys_of(job: Job, name: str) -> dict[str, str]:
    """Return what files of each table are called."""
    folders = ("assets", "segments", "speech", "mixes")
    return {
        "artifacts": storage_keys.artifact_key(job, name),
        **{folder: f"{folder}/{job.account_id}/ab/{name}" for folder in folders},
    }


@pytest.mark.parametrize("strange", [False, True], ids=["as we name them", "otherwise"])
def test_a_referenced_file_stays_whatever_its_key(session: Session, strange: bool) -> None:
    job = factories.job(session, state=State.SUCCEEDED)
    known, unknown = keys_of(job, "video.mp4"), keys_of(job, "other.mp4")
    if strange:
        known = {table: f"strange-{number}/{table}" for number, table in enumerate(known)}
        known["artifacts"] = "artifacts/no-account/no-job/video.mp4"
        unknown = {table: f"{key}-other" for table, key in known.items()}
    write(session, job, known)

    assert storage_keys.referenced_keys(session, [*known.values(), *unknown.values()]) == set(known.values())


@pytest.fixture
def files(process: Settings, tmp_path: Path) -> Iterator[dict[str, bool]]:
    """Give files, and whether a row names each. All of them are old."""
    response_cache.connection.cache_clear()
    with transaction() as session:
        job = factories.job(session, state=State.SUCCEEDED)
        known, unknown = keys_of(job, "video.mp4"), keys_of(job, "other.mp4")
        write(session, job, known)
    given = {**dict.fromkeys(known.values(), True), **dict.fromkeys(unknown.values(), False)}
    for key in given:
        (tmp_path / "content").write_text(key)
        storage().put(tmp_path / "content", key)
        os.utime(storage().locate(key), (0, 0))
    yield given
    response_cache.connection().flushdb()
    response_cache.connection().close()
    response_cache.connection.cache_clear()
    with transaction() as session:
        session.execute(delete(Account).where(Account.id == job.account_id))


def left(files: dict[str, bool]) -> set[bool]:
    return {files[key] for key in storage().find_existing(files)}


def test_only_files_that_no_row_references_are_removed(
    files: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphan_files, "ORPHAN_BATCH", 3)

    assert orphan_files.remove_orphan_files() == 5
    assert left(files) == {True}


def test_one_process_scans_the_files_at_a_time(files: dict[str, bool]) -> None:
    with try_lock(orphan_files._LOCK):  # noqa: SLF001 (what another worker holds that looks through them)
        assert orphan_files.remove_orphan_files() == 0

    assert left(files) == {True, False}
    assert orphan_files.remove_orphan_files() == 5


def test_long_scans_run_for_only_a_part_of_the_time(
    files: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphan_files, "SHORT_SCAN_SECONDS", 0)
    monkeypatch.setattr(orphan_files, "PAUSE_FACTOR", 10_000)
    assert orphan_files.remove_orphan_files() == 5
    (orphan,) = [key for key, named in files.items() if not named and key.startswith("mixes/")]
    with storage().create(orphan) as file:
        file.write(b"again")
    os.utime(storage().locate(orphan), (0, 0))

    assert orphan_files.remove_orphan_files() == 0
    response_cache.connection().flushdb()
    assert orphan_files.remove_orphan_files() == 1


def test_work_folders_of_dead_attempts_are_removed_and_others_stay(process: Settings) -> None:
    for name in ("dead", "working", "uploads"):
        (process.work_dir / name / "within").mkdir(parents=True)
    for name in ("dead", "uploads"):
        os.utime(process.work_dir / name, (0, 0))

    assert orphan_files.remove_orphans(process)["work_folders"] == 1
    assert {path.name for path in process.work_dir.iterdir()} == {"working", "uploads"}
