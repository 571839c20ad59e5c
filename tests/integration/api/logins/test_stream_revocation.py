"""Streams of events end with what opened them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from api.tasks import change_poller
from tests.integration.api.logins.conftest import log_in

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def read_to_the_end(client: Client, token: str) -> threading.Thread:
    """Open a stream, and read it in a thread that ends with it."""
    answer = client.flask.get("/v1/events", headers={"Authorization": f"Bearer {token}"}, buffered=False)
    assert answer.status_code == 200

    def read() -> None:
        for _ in answer.response:
            pass
        answer.close()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def test_a_stream_ends_with_its_key_or_log_in(
    client: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_poller, "REVOCATION_SECONDS", 0.3)
    keys = [client.key_with("jobs:read") for _ in range(2)]
    tokens = log_in(client, name).json
    threads = [read_to_the_end(client, token) for token in (keys[0], tokens["access_token"], keys[1])]
    threads[0].join(1)
    assert all(thread.is_alive() for thread in threads)

    revoke(client, keys[0])
    client.flask.post("/v1/auth/revoke", data={"token": tokens["refresh_token"]})
    for thread in threads[:2]:
        thread.join(10)

    assert [thread.is_alive() for thread in threads] == [False, False, True]
    revoke(client, keys[1])
    threads[2].join(10)
    assert not threads[2].is_alive()


def revoke(client: Client, key: str) -> None:
    assert client.delete(f"/v1/api-keys/{key.split('_')[2]}").status_code == 204
