"""The memory that large bodies share."""

from __future__ import annotations

import threading

import pytest
from flask import Flask, request

from api.http import bodies, body_memory
from api.http.body_memory import Budget
from shared.errors import Unavailable


def test_a_reservation_waits_for_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_memory, "WAIT_SECONDS", 30.0)
    budget = Budget(100, "bytes")
    held = budget.reserve(80)
    taken: list[int] = []
    waiter = threading.Thread(target=lambda: taken.append(budget.reserve(50)))
    waiter.start()

    budget.release(held)
    waiter.join(10)

    assert taken == [50]


def test_a_reservation_that_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_memory, "WAIT_SECONDS", 0.01)
    budget = Budget(100, "bytes")
    budget.reserve(80)

    with pytest.raises(Unavailable, match="100 bytes that this process allows") as raised:
        budget.reserve(50)

    assert raised.value.retry_after == body_memory.RETRY_SECONDS


def test_a_reservation_is_capped_at_the_budget() -> None:
    budget = Budget(100, "bytes")

    assert budget.reserve(1000) == 100
    budget.release(100)
    assert budget.reserve(100) == 100


def test_a_request_releases_its_reservations_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_memory, "WAIT_SECONDS", 0.01)
    app = Flask("test")
    body_memory.register(app)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.post("/")
    def read() -> str:
        bodies.read_all(body_memory.MAX_BYTES)
        if request.args:
            raise ValueError("odd")
        return "read"

    client = app.test_client()
    large = bytes(body_memory.MAX_BYTES // 2 + 1)

    assert client.post("/?fails", data=large).status_code == 500
    assert [client.post("/", data=large).status_code for _ in range(3)] == [200, 200, 200]
