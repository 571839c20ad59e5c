"""Files under names of our own: whole or not there."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from shared.errors import AssetUnreadable, StorageFull
from shared.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


def leftovers(storage: Storage) -> list[Path]:
    return list((storage.root / "incoming").iterdir())


def test_a_file_appears_when_it_is_whole(storage: Storage) -> None:
    with storage.create("a/b") as file:
        file.write(b"12")
        assert not storage.path("a/b").exists()

    assert storage.locate("a/b").read_bytes() == b"12"
    assert leftovers(storage) == []


def test_a_writer_that_fails_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(RuntimeError), storage.create("a/b") as file:
        file.write(b"1")
        raise RuntimeError

    assert not storage.path("a/b").exists()
    assert leftovers(storage) == []


def test_a_finished_file_is_moved_in_and_can_be_deleted_twice(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "made"
    source.write_bytes(b"123")

    storage.put(source, "x/y/z")

    assert storage.locate("x/y/z").read_bytes() == b"123"
    assert not source.exists()
    storage.delete("x/y/z")
    storage.delete("x/y/z")
    with pytest.raises(AssetUnreadable):
        storage.locate("x/y/z")


def test_a_full_disk_is_an_error_that_is_retried(storage: Storage) -> None:
    with pytest.raises(StorageFull) as caught, storage.create("a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert caught.value.retryable
    assert leftovers(storage) == []


def test_it_can_tell_whether_it_is_writable(storage: Storage) -> None:
    storage.check()

    assert leftovers(storage) == []


def test_a_second_name_lives_when_the_first_goes(storage: Storage) -> None:
    with storage.create("first") as file:
        file.write(b"12")

    storage.link(storage.path("first"), "second/name")
    storage.delete("first")

    assert storage.locate("second/name").read_bytes() == b"12"
    assert leftovers(storage) == []
    with pytest.raises(FileNotFoundError):
        storage.link(storage.path("first"), "third")
