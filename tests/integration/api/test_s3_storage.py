"""The gateway as gunicorn serves it, its files in S3: ranges, memory, and what others notice of a slow bucket."""

from __future__ import annotations

import io
import os
import threading
import time
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.integration.api.conftest import new_client, picture
from tests.integration.api.test_gunicorn import running
from tests.loopback.s3 import S3, SECRET_KEY

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from shared.settings import Settings

pytestmark = pytest.mark.services

MIB = 1024**2


@dataclass
class Served:
    """A running gateway with one worker, and its bucket."""

    http: httpx.Client
    process: subprocess.Popen[bytes]
    s3: S3
    folder: Path

    def asset(self, data: bytes) -> str:
        answer = self.http.post("/v1/assets", content=data)
        assert answer.status_code == 201, answer.text
        return f"/v1/assets/{answer.json()['asset_id']}"

    def memory(self) -> int:
        (worker,) = psutil.Process(self.process.pid).children()
        return int(worker.memory_info().rss)


@pytest.fixture(scope="module")
def served(
    app: Flask, config: Settings, api_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("bucket")
    (folder / "metrics").mkdir()
    with S3() as s3:
        environment = {
            "PATH": os.defpath,
            "SCENEMILL_DATABASE_URL": api_database,
            "SCENEMILL_BROKER_URL": redis_url,
            "SCENEMILL_REDIS_URL": redis_url,
            **s3.settings("videos"),
            "SCENEMILL_S3_TIMEOUT": "1.5",
            "SCENEMILL_STORAGE_CACHE_DIR": str(folder / "copies"),
            "SCENEMILL_RATE_LIMIT": "100000/minute",
            "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        }
        headers = {"Authorization": f"Bearer {new_client(app).key}"}
        with (
            running(folder / "log", environment) as (process, url),
            httpx.Client(base_url=url, headers=headers, timeout=20) as http,
        ):
            yield Served(http, process, s3, folder)


@pytest.fixture(autouse=True)
def _well(served: Served) -> Iterator[None]:
    yield
    served.s3.well()


def sound(size: int) -> bytes:
    """Return a recording of silence."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(size))
    return target.getvalue()


def test_a_file_in_a_bucket_is_sent_whole_or_in_ranges(served: Served) -> None:
    data = picture(640, 360, "JPEG")
    path = f"{served.asset(data)}/content"
    whole = served.http.get(path)
    asked = len(served.s3.requests)

    part = served.http.get(path, headers={"Range": "bytes=10-19"})
    end = served.http.get(path, headers={"Range": "bytes=-5"})
    same = served.http.get(path, headers={"If-None-Match": whole.headers["ETag"]})
    beyond = served.http.get(path, headers={"Range": f"bytes={len(data)}-"})
    head = served.http.head(path)
    attached = served.http.get(path, params={"download": 1})

    assert whole.content == attached.content == data
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    assert part.headers["ETag"] == whole.headers["ETag"]
    assert (end.status_code, end.content) == (206, data[-5:])
    assert (same.status_code, same.content) == (304, b"")
    assert beyond.status_code == 416
    assert head.headers["Content-Length"] == str(len(data))
    assert head.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Disposition"].startswith("inline; filename=")
    assert attached.headers["Content-Disposition"].startswith("attachment; filename=")
    ranges = [one.headers["range"] for one in served.s3.requests[asked:] if one.method == "GET"]
    assert ranges == ["bytes=10-19", f"bytes={len(data) - 5}-{len(data) - 1}", f"bytes=0-{len(data) - 1}"]


def test_a_resumable_upload_is_stored_in_the_bucket(served: Served) -> None:
    data = sound(9 * MIB)
    tus = {"Tus-Resumable": "1.0.0"}
    made = served.http.post("/v1/uploads", headers={**tus, "Upload-Length": str(len(data))})
    place = made.headers["Location"]
    served.s3.fail("lost", lambda _, target: "partNumber" in target)
    for start, stop in ((0, 4 * MIB), (4 * MIB, len(data))):
        told = {**tus, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        sent = served.http.patch(place, content=data[start:stop], headers=told)
        assert sent.status_code in (200, 204), sent.text

    path = httpx.URL(sent.headers["Location"]).path

    assert served.s3.failed["lost"] == 1
    assert served.http.get(f"{path}/content").content == data
    assert served.s3.uploads == {}


def test_a_deleted_file_is_gone_from_the_bucket_and_this_machine(served: Served) -> None:
    before = set(served.s3.objects), copies(served)
    path = served.asset(picture(31, 32))
    assert len(set(served.s3.objects) - before[0]) == len(copies(served) - before[1]) == 1

    assert served.http.delete(path).status_code == 204

    assert (set(served.s3.objects), copies(served)) == before


def copies(served: Served) -> set[Path]:
    return {path for path in (served.folder / "copies").rglob("*") if path.is_file()}


def test_large_files_take_constant_memory(served: Served) -> None:
    data = sound(48 * MIB)
    served.asset(picture(33, 34))  # the client of S3 is there
    before, asked = served.memory(), len(served.s3.requests)
    path = f"{served.asset(data)}/content"
    got: list[int] = []

    def download() -> None:
        with served.http.stream("GET", path) as answer:
            got.append(sum(len(chunk) for chunk in answer.iter_raw()))

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == [len(data)] * 4
    assert served.memory() - before < 40 * MIB
    assert len([one for one in served.s3.requests[asked:] if "partNumber" in one.query]) == 7


def test_a_download_survives_a_broken_bucket_connection(served: Served) -> None:
    data = sound(3 * MIB)
    path = f"{served.asset(data)}/content"
    served.s3.cut_at(MIB)

    assert served.http.get(path).content == data
    assert served.s3.failed["cut"] == 1


def test_a_slow_bucket_delays_only_file_requests(served: Served) -> None:
    path = f"{served.asset(picture(35, 36))}/content"
    served.s3.fail("hang", times=99)
    waiting = threading.Thread(target=lambda: served.http.get(path))
    waiting.start()
    times = []
    for _ in range(10):
        began = time.monotonic()
        assert served.http.get("/v1/assets").status_code == 200
        times.append(time.monotonic() - began)

    still_waits = waiting.is_alive()
    served.s3.well()
    waiting.join()

    assert still_waits
    assert max(times) < 1


def test_readiness_reports_an_unreachable_bucket(served: Served) -> None:
    served.s3.fail("503", times=999)

    ready = served.http.get("/readyz")
    taken = served.http.post("/v1/assets", content=picture(37, 38))

    assert ready.status_code == 503
    assert ready.json()["checks"]["storage"] == {"status": "unreachable"}
    assert taken.status_code == 503
    assert taken.json()["code"] == "unavailable"
    served.s3.well()
    assert served.http.get("/readyz").json()["checks"]["storage"]["status"] == "ok"


def test_the_log_holds_no_secret(served: Served) -> None:
    log = (served.folder / "log").read_text()

    assert "storage_request_retried" in log
    assert SECRET_KEY not in log
    assert "Signature" not in log
