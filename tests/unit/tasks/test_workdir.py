from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from shared.errors import (
    AssetUnreadable,
    JobFailed,
    QuotaExceeded,
    RenderFailed,
    RenderTimeout,
    SpeechFailed,
    StorageFull,
    Unavailable,
)
from shared.processes.ffmpeg import Stopped
from tasks.workdir import disk_failure, quota_error, workdir

FULL = Path("/sys")  # a file system without a free byte that is always there


def wrapped(inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except type(inner) as error:
            raise AssetUnreadable("An image could not be read.") from error
    except AssetUnreadable as outer:
        return outer


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def test_a_failure_by_a_full_disk_is_retryable_although_there_is_room_again(tmp_path, number):
    inner = OSError(number, "it is full")

    assert isinstance(disk_failure(inner, tmp_path, ()), StorageFull)
    assert isinstance(disk_failure(wrapped(inner), tmp_path, ()), StorageFull)


CUT_OFF = [
    RenderFailed("short"),
    SpeechFailed("none"),
    AssetUnreadable("gone"),
    JobFailed("odd"),
    KeyError("x"),
]
OTHER = [QuotaExceeded("spent"), RenderTimeout("slow"), Stopped(), StorageFull("told already")]


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
def test_an_unexpected_file_fails_the_job_unless_the_disk_was_full(tmp_path, error):
    assert disk_failure(error, tmp_path, (tmp_path,)) is None
    assert isinstance(disk_failure(error, tmp_path, (tmp_path, FULL)), StorageFull)


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
def test_a_removed_work_folder_does_not_fail_the_job(tmp_path, error):
    found = disk_failure(error, tmp_path / "gone", ())

    assert isinstance(found, Unavailable)


@pytest.mark.parametrize("error", OTHER, ids=lambda error: type(error).__name__)
def test_an_error_that_no_file_can_cause_stays_unchanged(tmp_path, error):
    assert disk_failure(error, tmp_path / "gone", (FULL,)) is None


def test_the_work_folder_is_removed_after_a_full_disk(tmp_path):
    with pytest.raises(StorageFull), workdir(tmp_path / "work") as work:
        (work / "begun").write_text("half")
        raise OSError(errno.ENOSPC, "it is full")

    assert not list((tmp_path / "work").iterdir())
    assert not work.exists()


def test_work_whose_folder_was_removed_is_retried(tmp_path):
    with pytest.raises(Unavailable), workdir(tmp_path / "work") as work:
        shutil.rmtree(work)
        (work / "more").write_text("lost")


def test_the_quota_counts_all_files_of_the_work_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "a").write_bytes(bytes(40_000))
    (inner / "b").write_bytes(bytes(40_000))

    assert quota_error(tmp_path, 100_000) is None
    found = quota_error(tmp_path, 60_000)

    assert found is not None
    assert "SCENEMILL_WORK_MAX_BYTES" in found.detail
    assert quota_error(None, 0) is None
