"""The gateway as it is run: gunicorn with gevent, and servers behind it that go away or stop answering."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import wave
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.integration.api.conftest import HELLO, new_client, picture
from tests.integration.api.wire import Wire
from workers.local.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from shared.settings import Settings

pytestmark = pytest.mark.services


@dataclass
class Served:
    """A running gateway with one worker, and the wires to what it depends on."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    storage: Path
    postgres: Wire
    redis: Wire
    key: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=20)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.process.pid).children()
        return worker


@pytest.fixture(scope="module")
def served(
    app: Flask, config: Settings, api_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gunicorn")
    postgres, redis = make_url(api_database), make_url(redis_url)
    with ExitStack() as stack:
        pg_wire = stack.enter_context(Wire(postgres.host, postgres.port))
        redis_wire = stack.enter_context(Wire(redis.host, redis.port))
        shown = redis.set(host="127.0.0.1", port=redis_wire.port).render_as_string(hide_password=False)
        (folder / "metrics").mkdir()
        environment = {
            "PATH": os.defpath,
            "SCENEMILL_DATABASE_URL": postgres.set(host="127.0.0.1", port=pg_wire.port).render_as_string(
                hide_password=False
            ),
            "SCENEMILL_BROKER_URL": shown,
            "SCENEMILL_REDIS_URL": shown,
            "SCENEMILL_STORAGE_URL": str(folder / "storage"),
            "SCENEMILL_RATE_LIMIT": "100000/minute",
            "SCENEMILL_ADDRESS_RATE_LIMIT": "100000/minute",
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        }
        process, url = stack.enter_context(running(folder / "log", environment))
        key = new_client(app).key
        yield Served(url, process, folder / "log", folder / "storage", pg_wire, redis_wire, key)


@contextmanager
def running(log: Path, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    bind = f"127.0.0.1:{free_port()}"
    argv = [
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        "gevent",
        "-c",
        "python:api.gunicorn",
        "-w",
        "1",
        "--bind",
        bind,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*argv, "api.wsgi:app"],
            env=environment,
            stderr=output,
            stdout=output,
            cwd=Path(__file__).parents[3],
        )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://{bind}/livez").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, f"http://{bind}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def test_long_polls_do_not_block_other_requests(served: Served) -> None:
    with served.client() as http:
        task_id = http.post("/v1/jobs", json=HELLO).json()["task_id"]

        def wait() -> None:
            with served.client() as one:
                one.get(f"/v1/tasks/{task_id}?wait=3")

        waiters = [threading.Thread(target=wait) for _ in range(40)]
        begun = time.monotonic()
        for waiter in waiters:
            waiter.start()
        time.sleep(0.7)
        asked = time.monotonic()
        assert http.get("/v1/tasks").status_code == 200
        assert time.monotonic() - asked < 2.5
        for waiter in waiters:
            waiter.join()

    assert time.monotonic() - begun < 20


def test_waiting_for_postgres_blocks_nobody_and_times_out(served: Served, api_database: str) -> None:
    engine = create_engine(api_database)
    with served.client() as http, engine.connect() as holder:
        task_id = http.post("/v1/jobs", json=HELLO).json()["task_id"]
        holder.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": task_id})
        answers: list[httpx.Response] = []

        def cancel() -> None:
            with served.client() as one:
                answers.append(one.post(f"/v1/tasks/{task_id}/cancel"))

        blocked = threading.Thread(target=cancel)
        begun = time.monotonic()
        blocked.start()
        time.sleep(0.3)
        asked = time.monotonic()
        assert http.get(f"/v1/tasks/{task_id}").status_code == 200
        assert time.monotonic() - asked < 1.5
        blocked.join()
    engine.dispose()

    assert answers[0].status_code == 503
    assert 2.5 < time.monotonic() - begun < 9


@pytest.mark.parametrize("mode", ["cut", "swallow"])
def test_requests_fail_fast_without_postgres_and_recover(served: Served, mode: str) -> None:
    with served.client() as http:
        assert http.get("/v1/tasks").status_code == 200
        served.postgres.set(mode)  # type: ignore[arg-type]
        try:
            begun = time.monotonic()
            away = http.post("/v1/jobs", json=HELLO, timeout=60)
            seconds = time.monotonic() - begun
            ready = http.get("/readyz")
            alive = http.get("/livez")
        finally:
            served.postgres.set("pass")

        assert (away.status_code, away.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(away.headers["Retry-After"]) >= 1
        assert away.headers["RateLimit-Policy"].startswith('"address";')
        assert not {"psycopg2", "Traceback", "connection to server"} & set(away.text.split())
        assert seconds < 10
        assert (ready.status_code, alive.status_code) == (503, 200)
        assert http.post("/v1/jobs", json=HELLO, timeout=60).status_code == 202


@pytest.mark.parametrize("mode", ["cut", "swallow"])
def test_without_redis_jobs_are_accepted_without_delay(served: Served, mode: str) -> None:
    with served.client() as http:
        http.post("/v1/jobs", json=HELLO)
        served.redis.set(mode)  # type: ignore[arg-type]
        try:
            seconds = []
            for _ in range(15):
                begun = time.monotonic()
                assert http.post("/v1/jobs", json=HELLO).status_code == 202
                seconds.append(time.monotonic() - begun)
        finally:
            served.redis.set("pass")

    assert max(seconds) < 1.5
    assert sorted(seconds)[len(seconds) // 2] < 0.3


def raw(served: Served, request: bytes) -> bytes:
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
            answer += data
        return answer


@pytest.mark.parametrize(
    ("path", "length"), [("/v1/jobs", 20_000_000), ("/v1/batch", 40_000_000), ("/v1/assets", 3 << 30)]
)
def test_an_oversized_body_is_refused_before_it_is_sent(served: Served, path: str, length: int) -> None:
    answer = raw(
        served,
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"Authorization: Bearer {served.key}\r\n\r\n".encode(),
    )

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_the_sender_of_an_oversized_body_can_read_the_response(served: Served) -> None:
    with served.client() as http:
        whole = http.post("/v1/jobs", content=b" " * 20_000_000, headers={"Content-Type": "application/json"})
        chunks = http.post(
            "/v1/jobs",
            content=(b" " * 100_000 for _ in range(200)),
            headers={"Content-Type": "application/json"},
        )

    assert (whole.status_code, chunks.status_code) == (413, 413)


def test_an_endless_body_does_not_block_other_requests(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    ended = threading.Event()

    def send(connection: socket.socket) -> None:
        with suppress(OSError):
            while not ended.is_set():
                connection.sendall(b" " * 1_000_000)

    with served.client() as http, socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
        sender = threading.Thread(target=send, args=(connection,))
        sender.start()
        begun = time.monotonic()
        answers = [http.get("/livez").status_code for _ in range(10)]
        seconds = time.monotonic() - begun
        ended.set()
        sender.join()

    assert answers == [200] * 10
    assert (
        seconds < 4
    )  # the others are not even noticed; without turns all of them wait until the sender ends


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_a_malformed_request_gets_a_problem(served: Served, request_bytes: bytes) -> None:
    head, _, body = raw(served, request_bytes).partition(b"\r\n\r\n")

    assert head.split(b" ", 2)[1] in (b"400", b"414", b"431", b"505")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == int(head.split(b" ", 2)[1])


def test_an_upload_takes_constant_memory(served: Served) -> None:
    size = 96 << 20
    head = io.BytesIO()
    with wave.open(head, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.setnframes(size // 4)
        file.writeframes(b"")
    header = bytearray(head.getvalue()[:44])
    header[4:8], header[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    with served.client() as http:
        http.post("/v1/assets", content=picture())
        before = served.worker().memory_info().rss
        chunks = (bytes(header) if at == 0 else bytes(1 << 20) for at in range((size >> 20) + 1))
        answer = http.post("/v1/assets", content=chunks, timeout=60)
        assert answer.status_code == 201, answer.text
        assert answer.json()["bytes"] == size + 44
        total = 0
        with http.stream("GET", f"/v1/assets/{answer.json()['asset_id']}/content") as content:
            for data in content.iter_raw():
                total += len(data)
        http.delete(f"/v1/assets/{answer.json()['asset_id']}")

    assert total == size + 44
    assert served.worker().memory_info().rss - before < 24 << 20


def test_many_uploads_at_once_are_all_probed(served: Served) -> None:
    statuses: list[int] = []

    def upload(number: int) -> None:
        with served.client() as http:
            statuses.append(http.post("/v1/assets", content=picture(40 + number)).status_code)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [201] * 12
    assert served.worker().children() == []


def test_an_incomplete_upload_leaves_nothing(served: Served) -> None:
    before = [path for path in served.storage.rglob("*") if path.is_file()]
    host, _, port = served.url.removeprefix("http://").partition(":")
    for header in (b"Content-Length: 900000", b"Transfer-Encoding: chunked"):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/assets HTTP/1.1\r\nHost: x\r\n" + header
                + f"\r\nAuthorization: Bearer {served.key}\r\n\r\n".encode()
                + (b"9c40\r\n" if b"chunked" in header else b"") + picture() + bytes(20_000)
            )  # fmt: skip
    for _ in range(50):
        after = [path for path in served.storage.rglob("*") if path.is_file()]
        if after == before and not served.worker().children():
            break
        time.sleep(0.1)

    assert after == before


def test_a_truncated_body_is_refused(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    with served.client() as http:
        before = http.get("/v1/assets").json()["data"]
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/assets HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
                + f"Authorization: Bearer {served.key}\r\n\r\n".encode()
                + picture()
            )
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(12) == b"HTTP/1.1 400"

        assert http.get("/v1/assets").json()["data"] == before


def test_a_request_can_be_followed_in_the_log(served: Served) -> None:
    trace = uuid.uuid4().hex
    with served.client() as http:
        http.post(
            "/v1/jobs", json=HELLO,
            headers={"X-Request-ID": "follow-me", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        )  # fmt: skip
    for _ in range(50):
        found = [line for line in served.lines() if line.get("request_id") == "follow-me"]
        if found:
            break
        time.sleep(0.1)

    (line,) = found
    assert line["event"] == "request_served"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/jobs", 202)
    assert line["trace_id"] == trace
    assert served.key not in served.log.read_text()


def test_a_large_invalid_body_is_logged_in_one_line(served: Served) -> None:
    with served.client() as http:
        answer = http.post(
            "/v1/jobs", content=b"[" * 100_000,
            headers={"Content-Type": "application/json", "X-Request-ID": "too-deep"},
        )  # fmt: skip
    for _ in range(50):
        if "too-deep" in served.log.read_text():
            break
        time.sleep(0.1)

    assert answer.status_code == 413
    events = [line["event"] for line in served.lines() if line.get("request_id") == "too-deep"]
    assert events == ["request_served"]


def test_metrics_of_all_processes_are_summed(served: Served) -> None:
    with served.client() as http:
        http.post("/v1/jobs", json=HELLO)
        text_ = http.get("/metrics").text

    assert 'scenemill_jobs_accepted_total{kind="video"}' in text_
    assert 'route="/v1/jobs"' in text_


@pytest.fixture
def environment(tmp_path: Path, config: Settings) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "SCENEMILL_DATABASE_URL": config.database_url,
        "SCENEMILL_BROKER_URL": config.broker_url,
        "SCENEMILL_REDIS_URL": config.redis_url,
        "SCENEMILL_STORAGE_URL": str(tmp_path / "storage"),
    }


def test_idle_connections_stay_open_and_do_not_delay_shutdown(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        running(tmp_path / "log", {**environment, "GUNICORN_CMD_ARGS": "--keep-alive 1"}) as (process, url),
        socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=5) as client,
        client.makefile("rb") as answers,
    ):
        answered = []
        for pause in (0.0, 1.5):
            time.sleep(pause)
            client.sendall(ask)
            answered.append(whole(answers))
        client.sendall(ask + ask)  # the second is there before the first is answered
        answered += [whole(answers), whole(answers)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0  # far sooner than who rests would have to go

    assert answered == [200] * 4
    assert "Traceback" not in (tmp_path / "log").read_text()


def whole(answers: BinaryIO) -> int:
    """Read one answer to its end, and return its status."""
    status = int(answers.readline().split()[1])
    length = 0
    while (line := answers.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    answers.read(length)
    return status


def test_sigterm_ends_all_processes_cleanly(tmp_path: Path, environment: dict[str, str]) -> None:
    with running(tmp_path / "log", environment) as (process, url):
        httpx.get(f"{url}/readyz")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    assert not any(child.is_running() for child in children)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("path", ["/v1/assets", "/v1/jobs"])
@pytest.mark.parametrize("chunk", [b"zz\r\nabc", b"-1\r\nabc", b"3\r\nabcdef"])
def test_a_malformed_chunk_is_a_400(served: Served, path: str, chunk: bytes) -> None:
    answer = raw(
        served,
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: Bearer {served.key}\r\n\r\n".encode()
        + chunk,
    )

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_ten_thousand_jobs_take_little_memory_and_block_nobody(served: Served) -> None:
    lines = "\n".join(json.dumps({**HELLO, "custom_id": str(number)}) for number in range(10_000)).encode()
    answers: list[httpx.Response] = []
    with served.client() as http:
        http.post("/v1/batch", json={"jobs": [HELLO] * 10})
        before = peak = served.worker().memory_info().rss

        def post() -> None:
            with served.client() as one:
                headers = {"Content-Type": "application/x-ndjson"}
                answers.append(one.post("/v1/batch", content=lines, headers=headers, timeout=120))

        posting = threading.Thread(target=post)
        posting.start()
        seconds = []
        while posting.is_alive():
            peak = max(peak, served.worker().memory_info().rss)
            begun = time.monotonic()
            assert http.get("/v1/tasks?limit=1").status_code == 200
            seconds.append(time.monotonic() - begun)
            time.sleep(0.02)
        posting.join()
        batch = http.get(f"/v1/batch/{answers[0].json()['batch_id']}").json()

    assert answers[0].status_code == 202
    assert (len(answers[0].json()["task_ids"]), batch["counts"]["queued"]) == (10_000, 10_000)
    assert peak - before < 80 << 20
    assert sorted(seconds)[len(seconds) // 2] < 1
