"""Files under keys behave the same in a folder and in a bucket."""

from __future__ import annotations

import errno
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.errors import AssetUnreadable, Conflict, StorageFull
from shared.storage import unfinished_uploads
from shared.storage.folder import FolderStorage

if TYPE_CHECKING:
    from pathlib import Path

    from shared.storage.base import Storage
    from shared.storage.s3 import S3Storage
    from tests.loopback.s3 import S3


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "storage")
    found: Storage = request.getfixturevalue("bucket")
    return found


def leftovers(storage: Storage) -> list[Path]:
    """Return what is half done on this machine."""
    return list((storage.root / "incoming").iterdir())


def content(storage: Storage, key: str) -> bytes:
    size = storage.size(key)
    assert size is not None
    return b"".join(storage.read(key, 0, size))


def make(storage: Storage, key: str, data: bytes = b"12") -> None:
    with storage.create(key) as file:
        file.write(data)


def test_a_file_appears_only_when_it_is_complete(storage: Storage) -> None:
    with storage.create("a/b") as file:
        file.write(b"12")
        assert storage.size("a/b") is None

    assert storage.locate("a/b").read_bytes() == content(storage, "a/b") == b"12"
    assert leftovers(storage) == []


def test_a_writer_that_fails_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(RuntimeError), storage.create("a/b") as file:
        file.write(b"1")
        raise RuntimeError

    assert storage.find_existing(["a/b"]) == set()
    assert leftovers(storage) == []


def test_a_finished_file_is_moved_in_and_can_be_deleted_twice(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "work" / "made.mp4"
    source.parent.mkdir()
    source.write_bytes(b"123")

    storage.put(source, "x/y/z.mp4")

    assert storage.locate("x/y/z.mp4").read_bytes() == b"123"
    assert not source.exists()
    storage.delete("x/y/z.mp4")
    storage.delete("x/y/z.mp4")
    with pytest.raises(AssetUnreadable):
        storage.locate("x/y/z.mp4")


def test_deleting_a_file_removes_empty_folders(tmp_path: Path) -> None:
    folder = FolderStorage(tmp_path / "storage")
    keys = ("artifacts/job/1/video.mp4", "artifacts/job/1/poster.jpg", "artifacts/other/1/video.mp4")
    for key in keys:
        with folder.create(key) as file:
            file.write(b"1")

    folder.delete(keys[0])
    assert folder.find_existing(keys) == set(keys[1:])
    folder.delete(keys[1])
    folder.delete(keys[2])

    assert {path.name for path in (tmp_path / "storage").rglob("*")} == {"incoming", "artifacts"}


def test_a_file_is_stored_although_its_folder_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, link = FolderStorage(tmp_path / "storage"), os.link
    removed: list[Path] = []

    def late(source: Path, target: Path) -> None:
        if not removed:
            target.parent.rmdir()
            removed.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with folder.create("artifacts/job/video.mp4") as file:
        file.write(b"1")

    assert removed == [folder.locate("artifacts/job/video.mp4")]


def test_a_full_disk_is_an_error_that_is_retried(storage: Storage) -> None:
    with pytest.raises(StorageFull) as caught, storage.create("a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert caught.value.retryable
    assert leftovers(storage) == []


def test_check_writable_passes(storage: Storage) -> None:
    storage.check_writable()

    assert leftovers(storage) == []
    assert list(storage.list_older_than(time.time() + 60)) == []


def test_a_second_key_survives_the_deletion_of_the_first(storage: Storage) -> None:
    make(storage, "first")

    storage.link(storage.locate("first"), "second/name")
    storage.copy("first", "third")
    storage.delete("first")

    assert content(storage, "second/name") == content(storage, "third") == b"12"
    assert leftovers(storage) == []
    with pytest.raises(AssetUnreadable):
        storage.copy("first", "fourth")


def test_a_file_never_changes_under_its_key(storage: Storage) -> None:
    make(storage, "a", b"first")

    make(storage, "a", b"first")
    with pytest.raises(Conflict):
        make(storage, "a", b"other")

    assert content(storage, "a") == b"first"
    assert leftovers(storage) == []


def test_any_part_of_a_file_can_be_read(storage: Storage) -> None:
    make(storage, "a", bytes(range(200)))

    assert b"".join(storage.read("a", 10, 13)) == bytes((10, 11, 12))
    assert b"".join(storage.read("a", 5, 5)) == b""
    assert storage.size("a") == 200
    assert storage.find_existing(["a", "b", "a"]) == {"a"}


def test_old_files_are_listed(storage: Storage, request: pytest.FixtureRequest) -> None:
    make(storage, "old/é 1+%.wav")
    make(storage, "old/2")
    _age(storage, request)
    make(storage, "new")

    assert set(storage.list_older_than(time.time() - 3600)) == {"old/é 1+%.wav", "old/2"}


def test_storing_a_file_again_refreshes_its_date(storage: Storage, request: pytest.FixtureRequest) -> None:
    make(storage, "again")
    make(storage, "old")
    _age(storage, request)

    make(storage, "again")

    assert list(storage.list_older_than(time.time() - 3600)) == ["old"]


def _age(storage: Storage, request: pytest.FixtureRequest) -> None:
    """Date all that is there a day back."""
    if isinstance(storage, FolderStorage):
        for path in storage.root.rglob("*"):
            os.utime(path, (time.time() - 86_400,) * 2)
        return
    request.getfixturevalue("s3").turn_back(timedelta(days=1))


def test_a_link_to_an_old_file_has_a_new_date(tmp_path: Path) -> None:
    folder = FolderStorage(tmp_path / "storage")
    make(folder, "first")
    os.utime(folder.locate("first"), (time.time() - 86_400,) * 2)

    folder.copy("first", "second")

    assert list(folder.list_older_than(time.time() - 3600)) == []


def test_an_idle_upload_is_not_listed_as_an_orphan(tmp_path: Path) -> None:
    folder = FolderStorage(tmp_path / "storage")
    make(folder, f"{unfinished_uploads.FOLDER_NAME}/1")
    os.utime(folder.locate(f"{unfinished_uploads.FOLDER_NAME}/1"), (time.time() - 86_400,) * 2)

    assert list(folder.list_older_than(time.time() - 3600)) == []


@pytest.mark.slow
def test_object_names_begin_with_the_prefix(bucket: S3Storage, s3: S3) -> None:
    make(bucket, "a")

    assert list(s3.objects) == ["some/prefix/a"]
