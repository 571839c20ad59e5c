"""A bucket that fails: what is reported as stored is there, and a failed upload leaves nothing."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from shared.errors import Conflict, Unavailable
from shared.storage import s3_client as s3
from shared.storage import s3_parts
from tests.loopback.s3 import ACCESS_KEY, SECRET_KEY, SMALLEST_PART
from tests.unit.shared.conftest import another

if TYPE_CHECKING:
    from pathlib import Path

    from shared.storage.s3 import S3Storage
    from tests.loopback.s3 import S3, Fault

pytestmark = pytest.mark.slow

KEY = "some/prefix/a/b"
LARGE = os.urandom(1024) * 11 * 1024
FAULTS: tuple[Fault, ...] = ("500", "503", "hang", "reset", "lost")
CONDITIONED: tuple[Fault, ...] = (*FAULTS, "412")  # where a condition is met


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr("shared.storage.s3_writer.PART_BYTES", SMALLEST_PART)
    monkeypatch.setattr(s3_parts, "PART_BYTES", SMALLEST_PART)


def put(bucket: S3Storage, folder: Path, data: bytes) -> None:
    source = folder / "made"
    source.write_bytes(data)
    bucket.put(source, "a/b")


def asked(server: S3) -> list[str]:
    return [f"{one.method} {'&'.join(one.query)}".strip() for one in server.requests]


@pytest.mark.parametrize("kind", CONDITIONED)
def test_a_request_is_retried_after_one_failure(
    bucket: S3Storage, s3: S3, tmp_path: Path, kind: Fault
) -> None:
    s3.fail(kind, lambda method, _: method == "PUT")

    put(bucket, tmp_path, b"content")

    assert s3.failed[kind] == 1
    assert s3.objects[KEY].content == b"content"
    if kind == "lost":
        assert asked(s3) == ["PUT", "HEAD"]  # it was looked for, and not sent again


@pytest.mark.parametrize(
    ("step", "kind"),
    [*product(("uploads", "partNumber=2"), FAULTS), *product(["POST uploadId"], CONDITIONED)],
)
def test_a_large_upload_survives_a_failure_at_each_step(
    bucket: S3Storage, s3: S3, tmp_path: Path, step: str, kind: Fault
) -> None:
    method, _, named = step.rpartition(" ")
    s3.fail(kind, lambda how, target: how.startswith(method) and named in target)

    put(bucket, tmp_path, LARGE)

    assert s3.failed[kind] == 1
    assert s3.objects[KEY].content == LARGE
    left = 1 if (kind, step) == ("lost", "uploads") else 0  # nobody knows of that one: it is cleared later
    assert len(s3.uploads) == left
    assert bucket.remove_unfinished(time.time() + 60) == left
    assert s3.uploads == {}


@pytest.mark.parametrize("data", [b"content", LARGE], ids=["small", "large"])
def test_a_failed_upload_leaves_no_parts(bucket: S3Storage, s3: S3, tmp_path: Path, data: bytes) -> None:
    s3.fail("503", lambda method, target: method == "PUT" and "partNumber=1" not in target, times=99)

    with pytest.raises(Unavailable):
        put(bucket, tmp_path, data)

    assert s3.failed["503"] == 4
    assert s3.objects == {}
    assert s3.uploads == {}
    assert bucket.size("a/b") is None


def test_a_key_with_another_content_is_a_conflict(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, LARGE)

    with pytest.raises(Conflict):
        put(bucket, tmp_path, LARGE + b"more")

    assert s3.objects[KEY].content == LARGE
    assert s3.uploads == {}


def test_uploading_an_existing_large_file_leaves_no_parts(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, LARGE)

    put(bucket, tmp_path, LARGE)

    assert s3.objects[KEY].content == LARGE
    assert s3.uploads == {}


@pytest.mark.parametrize("kind", ["500", "hang", "reset", "lost"])
def test_a_download_is_retried(bucket: S3Storage, s3: S3, tmp_path: Path, kind: Fault) -> None:
    put(bucket, tmp_path, LARGE)
    s3.fail(kind, lambda method, _: method == "GET", times=2)

    path = another(s3, tmp_path / "elsewhere").locate("a/b")

    assert s3.failed[kind] == 2
    assert path.read_bytes() == LARGE


def test_a_broken_stream_continues_where_it_stopped(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, LARGE)
    s3.cut_at(3_000_000)

    whole = b"".join(bucket.read("a/b", 5, len(LARGE)))

    assert whole == LARGE[5:]
    assert s3.failed["cut"] == 1
    starts = [int(one.headers["range"][6:].split("-")[0]) for one in s3.requests if one.method == "GET"]
    assert starts[0] == 5
    assert 2_000_000 < starts[1] <= 3_000_005


def test_a_corrupted_download_is_refused(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, b"content")
    s3.spoil(KEY, b"cOntent")

    with pytest.raises(Unavailable):
        another(s3, tmp_path / "elsewhere").locate("a/b")

    assert [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()] == []


def test_concurrent_readers_download_a_file_once(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, LARGE)
    before = len(s3.requests)
    machine = [another(s3, tmp_path / "elsewhere") for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda one: one.locate("a/b"), machine))

    assert len(paths) == 1
    assert asked(s3)[before:] == ["HEAD", "GET"]


def test_the_rest_of_an_aborted_download_is_discarded(bucket: S3Storage, s3: S3, tmp_path: Path) -> None:
    put(bucket, tmp_path, b"content")
    name = hashlib.sha256(b"a/b").hexdigest()
    other = another(s3, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "incoming" / f"{name}.part").write_bytes(b"half of another")

    assert other.locate("a/b").read_bytes() == b"content"
    assert list((tmp_path / "elsewhere" / "incoming").iterdir()) == []


def test_the_local_cache_is_bounded_and_keeps_the_last_used(s3: S3, tmp_path: Path) -> None:
    bucket = another(s3, tmp_path / "copies", storage_cache_max_bytes=250, render_timeout=timedelta(0))
    for name in ("1", "2", "3"):
        with bucket.create(name) as file:
            file.write(bytes(100))
        bucket.locate("1")
        time.sleep(0.01)

    left = [path for path in (tmp_path / "copies").rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in left) == 200
    assert {bucket.locate("1"), bucket.locate("3")} == set(left)
    assert bucket.find_existing(["2"]) == {"2"}  # what went was a copy


def test_lists_of_many_pages_are_read_to_their_end(bucket: S3Storage, s3: S3) -> None:
    s3.page = 2
    for number in range(5):
        with bucket.create(f"files/{number}") as file:
            file.write(b"x")
        s3.begin(f"some/prefix/parts/{number}")
    s3.begin("another/installation")

    assert sorted(bucket.list_older_than(time.time() + 60)) == [f"files/{number}" for number in range(5)]
    assert bucket.remove_unfinished(time.time() - 60) == 0
    assert bucket.remove_unfinished(time.time() + 60) == 5
    assert [one.key for one in s3.uploads.values()] == ["another/installation"]


def test_wrong_keys_are_logged_without_the_keys(
    s3: S3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = another(s3, tmp_path, s3_secret_key="wrong-secret-of-forty-letters-and-more-xx")

    with caplog.at_level(logging.DEBUG, "shared"), pytest.raises(Unavailable) as caught:
        wrong.check_writable()

    assert ("SignatureDoesNotMatch", 403) in [(one.code, one.status) for one in caplog.records]  # type: ignore[attr-defined]
    told = caplog.text + repr(caught.value) + repr(caught.value.__cause__)
    assert "wrong-secret" not in told
    assert SECRET_KEY not in told
    assert ACCESS_KEY not in repr(wrong._s3._config)  # noqa: SLF001


def test_a_silent_bucket_times_out(bucket: S3Storage, s3: S3) -> None:
    s3.fail("hang", times=99)
    began = time.monotonic()

    with pytest.raises(Unavailable):
        bucket.check_writable()

    assert time.monotonic() - began < 2


def test_a_forked_process_opens_its_own_connections(bucket: S3Storage, s3: S3) -> None:
    bucket.check_writable()
    ours = bucket._s3._of_this_process()  # noqa: SLF001 (two that share a connection may go well for long)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            with bucket.create("a/b") as file:
                file.write(b"from the child")
            os.write(write, b"shared" if bucket._s3._of_this_process() is ours else b"well")  # noqa: SLF001
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert told.read() == b"well"
    os.waitpid(child, 0)

    bucket.check_writable()

    assert s3.objects[KEY].content == b"from the child"


def test_a_sum_is_of_all_parts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)

    found = s3_parts.ContentFacts.of(path)

    assert found == s3_parts.ContentFacts(len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert b"".join(body for _, body in s3_parts.iterate_parts(path, len(LARGE))) == LARGE
