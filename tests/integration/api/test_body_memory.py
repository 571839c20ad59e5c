"""Large JSON bodies at once: how much memory a gateway takes for them, and what it answers."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pytest

from shared.script.schema.loading import MAX_VALUES
from tests.integration.api.conftest import HELLO
from tests.integration.api.test_gunicorn import served

if TYPE_CHECKING:
    import httpx
    import psutil

    from tests.integration.api.test_gunicorn import Served

__all__ = ["served"]

pytestmark = pytest.mark.services

TEN_MB = 10_000_000
AT_ONCE = 6
MOST_BYTES = 450 * 1024**2  # of one process, which needs 100 MiB by itself


def members(number: int) -> str:
    """Return an object of so many members, in objects of 500, as long as is wanted."""
    inner = ",".join(f'"m{index}":{index}.5' for index in range(500))
    return "{" + ",".join(f'"o{index}":{{{inner}}}' for index in range(number // 502)) + "}"


def deep(chains: int) -> str:
    return "[" + ",".join('{"a":' * 50 + "1" + "}" * 50 for _ in range(chains)) + "]"


def padded(document: str) -> bytes:
    text = f'{{"kind": "video", "metadata": {document}, "padding": ""}}'
    return text.replace('""}', f'"{"x" * (TEN_MB - len(text))}"}}').encode()


BODIES = {
    "members": padded(members(MAX_VALUES - 1000)),
    "nested objects": padded(deep(MAX_VALUES // 52)),
    "wide letters": padded(members(MAX_VALUES - 1000)).replace(b"xxxx", "😀".encode()),
    "too many members": padded(members(900_000))[:TEN_MB],
    "too deep": b"[" * 100_000 + b"]" * 100_000 + b" " * TEN_MB,
    "strings without an end": b'{"a": "' + b'\\"' * (TEN_MB // 2),
}


class Peak:
    """The most memory that a process takes during the block."""

    def __init__(self, process: psutil.Process) -> None:
        self.before = self.most = process.memory_info().rss
        self._process, self._over = process, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def post(served: Served, body: bytes, path: str = "/v1/jobs") -> httpx.Response:
    with served.client() as http:
        return http.post(path, content=body, headers={"Content-Type": "application/json"}, timeout=90)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs?dry_run=true", "/v1/batch"])
@pytest.mark.parametrize("kind", list(BODIES))
def test_concurrent_large_bodies_take_bounded_memory(served: Served, kind: str, path: str) -> None:
    worker = served.worker()

    with Peak(worker) as peak, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: post(served, BODIES[kind], path), range(AT_ONCE)))

    assert {one.status_code for one in answers} <= {
        200,
        400,
        413,
        422,
        503,
    }  # a dry run finds fault in its answer
    for one in answers:
        assert one.status_code == 200 or one.headers["Content-Type"] == "application/problem+json"
        if one.status_code == 503:
            assert "that this process allows" in one.json()["detail"]
            assert int(one.headers["Retry-After"]) >= 1
    assert peak.most < MOST_BYTES
    assert served.worker() == worker


@pytest.mark.parametrize(
    ("kind", "words"),
    [("too many members", f"more than {MAX_VALUES} values"), ("too deep", "deeper than 64 levels")],
)
def test_a_body_over_a_limit_is_refused_naming_it(served: Served, kind: str, words: str) -> None:
    answer = post(served, BODIES[kind])

    assert answer.status_code == 413
    assert words in answer.json()["detail"]


def test_large_batches_are_accepted_concurrently(served: Served) -> None:
    body = json.dumps({"jobs": [{**HELLO, "custom_id": str(number)} for number in range(10_000)]}).encode()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(served, body, "/v1/batch"), range(2)))

    assert [one.status_code for one in answers] == [202, 202]
    assert [len(one.json()["task_ids"]) for one in answers] == [10_000, 10_000]
