"""/v1/uploads: tus 1.0.0."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import subprocess
import time
import uuid
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from api.app import create_app
from shared.db import transaction
from shared.settings import settings
from shared.storage import unfinished_uploads
from tasks.upkeep import sweep
from tests.integration.api.conftest import Client, forget, new_client, picture
from tests.loopback.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

    from shared.settings import Settings

pytestmark = pytest.mark.services

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
FILE = picture(200, 100) + bytes(9000)  # more than what it is recognised by
HALF = len(FILE) // 2


def begin(client: Client, length: int | None = len(FILE), **headers: str) -> str:
    told = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    answer = client.post("/v1/uploads", headers={**TUS, **told, **headers})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def patch(client: Client, path: str, data: bytes, offset: int, **headers: str) -> TestResponse:
    return client.ask("PATCH", path, data=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})


def head(client: Client, path: str) -> TestResponse:
    return client.ask("HEAD", path, headers=TUS)


def part(config: Settings, path: str) -> Path:
    return unfinished_uploads.upload_path(config, uuid.UUID(path.rpartition("/")[2]))


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


def expire(path: str, ago: str = "1 second") -> None:
    with transaction() as session:
        session.execute(
            text("UPDATE uploads SET expires_at = now() - CAST(:ago AS interval) WHERE id = :id"),
            {"id": path.rpartition("/")[2], "ago": ago},
        )


def test_an_upload_becomes_an_asset_once_it_is_complete(client: Client, config: Settings) -> None:
    path = begin(client, **{"Upload-Metadata": f"filename {base64.b64encode(b'x.png').decode()},secret"})

    first = patch(client, path, FILE[:HALF], 0)
    between = head(client, path)
    last = patch(client, path, FILE[HALF:], HALF)
    after = head(client, path)

    assert (first.status_code, first.headers["Upload-Offset"], first.data) == (204, str(HALF), b"")
    assert parsedate_to_datetime(first.headers["Upload-Expires"])
    assert "Location" not in first.headers
    assert (between.headers["Upload-Offset"], between.headers["Upload-Length"]) == (str(HALF), str(len(FILE)))
    assert between.headers["Upload-Metadata"] == "filename eC5wbmc=,secret"
    assert between.headers["Cache-Control"] == "no-store"
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(FILE)))
    assert after.headers["Location"] == last.headers["Location"]
    asset = client.get(last.headers["Location"]).json
    assert asset["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert client.get(f"{last.headers['Location']}/content").data == FILE
    assert not part(config, path).exists()


def test_a_creation_may_carry_the_whole_file(client: Client) -> None:
    some = client.post("/v1/uploads", data=FILE[:10], headers={**PIECE, "Upload-Length": str(len(FILE))})
    all_ = client.post("/v1/uploads", data=FILE, headers={**PIECE, "Upload-Length": str(len(FILE))})

    assert (some.status_code, some.headers["Upload-Offset"]) == (201, "10")
    assert (all_.status_code, all_.headers["Upload-Offset"]) == (201, str(len(FILE)))
    assert all_.headers["Location"] == all_.json["links"]["self"]
    assert client.get(all_.json["links"]["asset"]).json["bytes"] == len(FILE)


def test_options_needs_no_key(client: Client, config: Settings) -> None:
    for path in ("/v1/uploads", f"/v1/uploads/{uuid.uuid4()}"):
        answer = client.flask.options(path)

        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(config.max_asset_bytes)
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation", "creation-with-upload", "creation-defer-length", "checksum", "expiration", "termination",
        }  # fmt: skip


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_of_tus_is_refused(client: Client, method: str, version: str | None) -> None:
    path = "/v1/uploads" if method == "POST" else begin(client)
    told = {"Tus-Resumable": version} if version else {}

    answer = client.ask(method, path, headers={"Upload-Length": "1", **told})

    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    if method != "POST":
        assert head(client, path).status_code == 200


def test_a_deferred_length_is_stated_once(client: Client) -> None:
    path = begin(client, None)
    assert head(client, path).headers["Upload-Defer-Length"] == "1"

    patch(client, path, FILE[:HALF], 0)
    assert "Upload-Length" not in head(client, path).headers
    short = patch(client, path, b"", HALF, **{"Upload-Length": str(HALF - 1)})
    told = patch(client, path, b"", HALF, **{"Upload-Length": str(len(FILE))})
    other = patch(client, path, b"", HALF, **{"Upload-Length": str(len(FILE) + 1)})

    assert [short.status_code, told.status_code, other.status_code] == [409, 204, 409]
    assert "Upload-Defer-Length" not in head(client, path).headers
    assert patch(client, path, FILE[HALF:], HALF).headers["Location"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 400, id="no length"),
        pytest.param({"Upload-Length": "-1"}, 400, id="negative"),
        pytest.param({"Upload-Length": "1e3"}, 400, id="no number"),
        pytest.param({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400, id="both"),
        pytest.param({"Upload-Defer-Length": "2"}, 400, id="deferred twice"),
        pytest.param({"Upload-Length": "9" * 15}, 413, id="too long"),
        pytest.param({"Upload-Length": "5", "Upload-Metadata": "a !"}, 400, id="no base64"),
        pytest.param({"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 400, id="twice"),
        pytest.param({"Upload-Length": "5", "Upload-Concat": "partial"}, 400, id="in parts"),
        pytest.param({"Upload-Length": "0"}, 415, id="nothing"),
    ],
)
def test_an_invalid_upload_is_not_created(client: Client, headers: dict[str, str], status: int) -> None:
    answer = client.post("/v1/uploads", headers={**TUS, **headers})

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.headers["Tus-Resumable"] == "1.0.0"


def test_an_append_must_start_at_the_end(client: Client) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)

    answers = [patch(client, path, FILE[:5], offset).status_code for offset in (0, HALF - 1, HALF + 1)]

    assert answers == [409] * 3
    assert head(client, path).headers["Upload-Offset"] == str(HALF)
    assert patch(client, path, FILE[HALF:], HALF).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Content-Type": "application/octet-stream"}, 415, id="type"),
        pytest.param({"Upload-Offset": "x"}, 400, id="offset"),
        pytest.param({"Upload-Checksum": "crc32 AAAA"}, 400, id="algorithm"),
        pytest.param({"Upload-Checksum": "sha1 AAAA"}, 400, id="digest"),
        pytest.param({"Upload-Checksum": checksum(b"other")}, 460, id="mismatch"),
    ],
)
def test_an_invalid_append_changes_nothing(
    client: Client, config: Settings, headers: dict[str, str], status: int
) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)

    answer = patch(client, path, FILE[HALF:], HALF, **headers)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert head(client, path).headers["Upload-Offset"] == str(HALF)
    assert part(config, path).stat().st_size == HALF
    assert patch(client, path, FILE[HALF:], HALF).headers["Location"]


def test_a_checksum_mismatch_is_status_460(client: Client) -> None:
    answer = patch(client, begin(client), FILE, 0, **{"Upload-Checksum": checksum(b"other")})

    assert answer.status == "460 Checksum Mismatch"
    assert answer.json["code"] == "checksum-mismatch"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_matching_checksum_is_accepted(client: Client, algorithm: str) -> None:
    path = begin(client)

    answer = patch(client, path, FILE, 0, **{"Upload-Checksum": checksum(FILE, algorithm)})

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(FILE)))


def test_bytes_beyond_the_stated_length_are_refused(client: Client, config: Settings) -> None:
    path = begin(client, 100)

    answer = patch(client, path, FILE, 0)

    assert answer.status_code == 413
    assert head(client, path).headers["Upload-Offset"] == "0"


def test_a_file_over_the_limit_is_refused(config: Settings) -> None:
    small = new_client(create_app(config.model_copy(update={"max_asset_bytes": 1000})))
    path = begin(small, None)

    assert small.post("/v1/uploads", headers={**TUS, "Upload-Length": "1001"}).status_code == 413
    assert patch(small, path, FILE, 0).status_code == 413
    assert patch(small, path, b"", 0, **{"Upload-Length": "1001"}).status_code == 413
    assert head(small, path).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"#EXTM3U\nhttp://example.org/a.ts", 415, id="playlist"),
        pytest.param(b"%PDF-1.7" + bytes(9000), 415, id="pdf"),
        pytest.param(picture()[:40], 422, id="broken picture"),
    ],
)
def test_an_unsupported_type_ends_the_upload(
    client: Client, config: Settings, data: bytes, status: int, pieces: int
) -> None:
    path = begin(client, len(data))

    first = patch(client, path, data[:20], 0) if pieces == 2 else None
    answer = patch(client, path, data[20:] if first else data, 20 if first else 0)

    assert first is None or first.status_code == 204
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert head(client, path).status_code == 410
    assert not part(config, path).exists()
    assert client.get("/v1/assets").json["data"] == []


def test_a_large_file_of_an_unsupported_type_is_refused_early(client: Client) -> None:
    path = begin(client, 1_000_000)

    assert patch(client, path, b"%PDF-1.7" + bytes(9000), 0).status_code == 415
    assert head(client, path).status_code == 410


def test_the_last_append_can_be_repeated(client: Client) -> None:
    path = begin(client)
    location = patch(client, path, FILE, 0).headers["Location"]

    again = patch(client, path, b"", len(FILE))

    assert (again.status_code, again.headers["Location"]) == (204, location)
    assert patch(client, path, FILE, 0).status_code == 409
    assert patch(client, path, b"more", len(FILE)).status_code == 413
    assert len(client.get("/v1/assets").json["data"]) == 1


def test_a_complete_upload_left_by_a_crash_becomes_an_asset(client: Client, config: Settings) -> None:
    path = begin(client)
    patch(client, path, FILE[:-1], 0)
    with part(config, path).open("ab") as file:
        file.write(FILE[-1:])
    with transaction() as session:
        session.execute(text("UPDATE uploads SET received = length WHERE id = :id"), {"id": path[-36:]})

    answer = head(client, path)

    assert answer.headers["Upload-Offset"] == str(len(FILE))
    assert client.get(answer.headers["Location"]).json["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert head(client, path).headers["Location"] == answer.headers["Location"]


def test_unsaved_bytes_do_not_count(client: Client, config: Settings) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)
    with part(config, path).open("ab") as file:
        file.write(b"of a process that died")

    assert head(client, path).headers["Upload-Offset"] == str(HALF)
    location = patch(client, path, FILE[HALF:], HALF).headers["Location"]

    assert client.get(location).json["sha256"] == hashlib.sha256(FILE).hexdigest()


def test_an_upload_without_its_bytes_is_gone(client: Client, config: Settings) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)
    part(config, path).unlink()

    assert head(client, path).status_code == 410
    assert patch(client, path, FILE[HALF:], HALF).status_code == 410


def test_an_upload_has_one_writer_at_a_time(client: Client, config: Settings) -> None:
    path = begin(client)
    with unfinished_uploads.open_exclusively(config, uuid.UUID(path[-36:])):
        answer = patch(client, path, FILE, 0)
        seen = head(client, path)

    assert (answer.status_code, seen.headers["Upload-Offset"]) == (423, "0")
    assert patch(client, path, FILE, 0).status_code == 204


def test_a_finished_upload_has_the_file_mode_of_other_assets(client: Client, stored: Path) -> None:
    patch(client, begin(client), FILE, 0)
    client.asset(picture(51, 52))

    modes = {path.stat().st_mode for path in (stored / "assets" / str(client.account_id)).iterdir()}

    assert len(modes) == 1


def test_the_same_bytes_are_stored_once(client: Client, stored: Path) -> None:
    client.asset(FILE)
    before = sum(1 for path in stored.rglob("*") if path.is_file())

    patch(client, begin(client), FILE, 0)

    assert sum(1 for path in stored.rglob("*") if path.is_file()) == before
    assert len(client.get("/v1/assets").json["data"]) == 2


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_expired_upload_is_gone(client: Client, config: Settings, method: str) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)
    expire(path)

    answer = client.ask(method, path, headers={**PIECE, "Upload-Offset": str(HALF)})

    assert answer.status_code == 410
    assert not part(config, path).exists()


def test_a_terminated_upload_is_gone(client: Client, config: Settings) -> None:
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)

    answer = client.delete(path, headers=TUS)

    assert (answer.status_code, answer.data) == (204, b"")
    assert not part(config, path).exists()
    assert head(client, path).status_code == 410
    assert "Upload-Offset" not in head(client, path).headers
    assert patch(client, path, FILE[HALF:], HALF).status_code == 410
    assert client.delete(path, headers=TUS).status_code == 410


def test_terminating_a_finished_upload_leaves_its_asset(client: Client) -> None:
    path = begin(client)
    location = patch(client, path, FILE, 0).headers["Location"]

    assert client.delete(path, headers=TUS).status_code == 204
    assert head(client, path).status_code == 410
    assert client.get(location).status_code == 200


def test_an_upload_of_a_deleted_asset_is_not_found(client: Client) -> None:
    path = begin(client)
    client.delete(patch(client, path, FILE, 0).headers["Location"])

    assert head(client, path).status_code == 404


def test_an_upload_of_another_account_is_not_found(client: Client, stranger: Client) -> None:
    path = begin(stranger)

    assert head(client, path).status_code == 404
    assert patch(client, path, FILE, 0).status_code == 404
    assert client.delete(path, headers=TUS).status_code == 404
    assert head(stranger, path).headers["Upload-Offset"] == "0"


def test_uploads_need_the_scope(client: Client) -> None:
    path = begin(client)
    reader = client.key_with("assets:read")

    assert client.post("/v1/uploads", key=reader, headers={**TUS, "Upload-Length": "1"}).status_code == 403
    assert client.ask("HEAD", path, key=reader, headers=TUS).status_code == 403
    assert client.flask.open(path, method="PATCH", headers=PIECE).status_code == 401


def test_unfinished_uploads_are_limited_per_account(config: Settings) -> None:
    few = new_client(create_app(config.model_copy(update={"max_uploads": 2})))
    first, _ = begin(few), begin(few)

    refused = few.post("/v1/uploads", headers={**TUS, "Upload-Length": "5"})
    few.delete(first, headers=TUS)

    assert (refused.status_code, refused.json["code"]) == (429, "too-many-at-once")
    assert "Retry-After" in refused.headers
    assert begin(few)


def test_an_upload_is_created_once_per_idempotency_key(client: Client) -> None:
    keyed = {**TUS, "Upload-Length": str(len(FILE)), "Idempotency-Key": "one"}
    first = client.post("/v1/uploads", headers=keyed)
    path = first.headers["Location"]
    patch(client, path, FILE[:HALF], 0)

    again = client.post("/v1/uploads", headers=keyed)
    other = client.post("/v1/uploads", headers={**keyed, "Upload-Length": "5"})

    assert (again.status_code, again.headers["Location"]) == (201, path)
    assert (again.headers["Idempotent-Replayed"], again.headers["Upload-Offset"]) == ("true", str(HALF))
    assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")


def test_a_failed_creation_leaves_no_unreachable_upload(client: Client, config: Settings) -> None:
    wrong = {**PIECE, "Upload-Length": str(len(FILE)), "Upload-Checksum": checksum(b"other")}

    lost = client.post("/v1/uploads", data=FILE, headers=wrong)
    keyed = client.post("/v1/uploads", data=FILE, headers={**wrong, "Idempotency-Key": "two"})
    again = client.post("/v1/uploads", data=FILE, headers={**wrong, "Idempotency-Key": "two"})

    assert [lost.status_code, keyed.status_code, again.status_code] == [460, 460, 201]
    assert head(client, again.headers["Location"]).headers["Upload-Offset"] == "0"
    with transaction() as session:
        states = session.scalars(
            text("SELECT state FROM uploads WHERE account_id = :id ORDER BY state"), {"id": client.account_id}
        ).all()
    assert states == ["open", "terminated"]


@pytest.mark.parametrize("actual", ["POST", "GET"])
def test_a_header_may_override_the_method(client: Client, actual: str) -> None:
    path = begin(client)

    def as_if(method: str, **options: Any) -> TestResponse:
        told = {"X-HTTP-Method-Override": method, **options.pop("headers", TUS)}
        return client.ask(actual, path, headers=told, **options)

    sent = as_if("PATCH", data=FILE[:HALF], headers={**PIECE, "Upload-Offset": "0"})
    seen = as_if("HEAD")
    gone = as_if("DELETE")

    assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(HALF))
    assert (seen.status_code, seen.headers["Upload-Offset"], seen.data) == (200, str(HALF), b"")
    assert (gone.status_code, head(client, path).status_code) == (204, 410)
    missing = as_if("HEAD")
    assert (missing.status_code, missing.headers["Content-Length"], missing.data) == (410, "0", b"")
    assert as_if("BREW").status_code == 405
    assert client.get("/v1/tasks", headers={"X-HTTP-Method-Override": "POST"}).status_code == 200


def test_every_response_has_the_tus_version(client: Client) -> None:
    path = begin(client)

    answers = [
        client.get("/v1/uploads"), client.get(path), client.get("/v1/uploads/x"), client.flask.post("/v1/uploads"),
        client.ask("PUT", path), client.flask.post("/uploads"),
    ]  # fmt: skip

    assert [one.status_code for one in answers] == [405, 405, 404, 412, 405, 308]
    assert {one.headers["Tus-Resumable"] for one in answers} == {"1.0.0"}
    assert "Tus-Resumable" not in client.get("/v1/tasks").headers


def test_cleanup_deletes_only_expired_uploads(client: Client, config: Settings) -> None:
    resting, over, ended = begin(client), begin(client), begin(client)
    for path in (resting, over):
        patch(client, path, FILE[:HALF], 0)
    day_old = time.time() - 0.9 * config.upload_expiry.total_seconds()
    os.utime(part(config, resting), (day_old, day_old))
    nobodys = unfinished_uploads.upload_path(config, uuid.uuid4())
    nobodys.write_bytes(b"of nobody")
    os.utime(nobodys, (day_old - 86_400, day_old - 86_400))
    client.delete(ended, headers=TUS)
    expire(over)
    expire(ended, "2 days")

    sweep.purge()

    assert not part(config, over).exists()
    assert not nobodys.exists()
    assert [head(client, path).status_code for path in (resting, over, ended)] == [200, 410, 404]
    assert patch(client, resting, FILE[HALF:], HALF).headers["Location"]


def test_a_full_disk_is_reported_and_leaves_nothing_behind(
    client: Client, config: Settings, tmp_path: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system needs a mount, and that needs root")
    try:
        small = Client(
            create_app(config.model_copy(update={"upload_dir": tmp_path})).test_client(),
            client.account_id,
            client.key,
        )
        data = picture() + random.Random(1).randbytes(200_000)  # noqa: S311 (any bytes)
        path = begin(small, len(data))
        patch(small, path, data[:50_000], 0)

        full = patch(small, path, data[50_000:], 50_000)

        assert (full.status_code, full.json["code"]) == (503, "storage-full")
        assert head(small, path).headers["Upload-Offset"] == "50000"
        assert next(tmp_path.iterdir()).stat().st_size == 50_000
        subprocess.run(["mount", "-o", "remount,size=1m", str(tmp_path)], check=True)
        location = patch(small, path, data[50_000:], 50_000).headers["Location"]
        assert small.get(location).json["sha256"] == hashlib.sha256(data).hexdigest()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.fixture
def bucket(config: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """Make this process one whose files are stored far away."""
    with S3() as s3:
        here = {"SCENEMILL_WORK_DIR": tmp_path / "work", "SCENEMILL_STORAGE_CACHE_DIR": tmp_path / "cache"}
        for name, value in {**s3.settings(), **here}.items():
            monkeypatch.setenv(name, str(value))
        forget()
        yield s3
    monkeypatch.undo()
    forget()


def test_with_a_bucket_partial_uploads_stay_local(bucket: S3) -> None:
    client = new_client(create_app(settings()))
    path = begin(client)
    patch(client, path, FILE[:HALF], 0)
    bucket.fail("503", lambda method, _: method in ("PUT", "POST"), times=100)

    away = patch(client, path, FILE[HALF:], HALF)
    kept = part(settings(), path).stat().st_size
    bucket.well()
    seen = head(client, path)

    assert (away.status_code, kept) == (503, len(FILE))
    assert settings().work_dir in part(settings(), path).parents
    assert client.get(f"{seen.headers['Location']}/content").data == FILE
    assert not part(settings(), path).exists()
