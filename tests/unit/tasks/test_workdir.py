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
def test_what_comes_of_a_full_disk_can_be_tried_again_though_there_is_room_by_now(tmp_path, number):
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
def test_a_file_that_is_not_as_planned_counts_against_the_job_only_where_there_was_room(tmp_path, error):
    assert disk_failure(error, tmp_path, (tmp_path,)) is None
    assert isinstance(disk_failure(error, tmp_path, (tmp_path, FULL)), StorageFull)


@pytest.mark.parametrize("error", CUT_OFF, ids=lambda error: type(error).__name__)
def test_a_folder_that_went_away_says_nothing_against_the_job(tmp_path, error):
    found = disk_failure(error, tmp_path / "gone", ())

    assert isinstance(found, Unavailable)


@pytest.mark.parametrize("error", OTHER, ids=lambda error: type(error).__name__)
def test_what_no_file_can_be_the_reason_of_stays_as_it_is(tmp_path, error):
    assert disk_failure(error, tmp_path / "gone", (FULL,)) is None


def test_the_folder_of_an_attempt_is_gone_after_a_full_disk(tmp_path):
    with pytest.raises(StorageFull), workdir(tmp_path / "work") as work:
        (work / "begun").write_text("half")
        raise OSError(errno.ENOSPC, "it is full")

    assert not list((tmp_path / "work").iterdir())
    assert not work.exists()


def test_a_folder_taken_away_under_the_work_is_tried_again(tmp_path):
    with pytest.raises(Unavailable), workdir(tmp_path / "work") as work:
        shutil.rmtree(work)
        (work / "more").write_text("lost")


def test_a_folder_is_over_its_quota_by_what_all_its_files_take(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "a").write_bytes(bytes(40_000))
    (inner / "b").write_bytes(bytes(40_000))

    assert quota_error(tmp_path, 100_000) is None
    found = quota_error(tmp_path, 60_000)

    assert found is not None
    assert "SCENEMILL_WORK_MAX_BYTES" in found.detail
    assert quota_error(None, 0) is None
