"""Rate limits."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from api.app import create_app
from api.http import rate_limits
from tests.integration.api.conftest import new_client
from workers.local.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def counters(redis_url: str) -> Iterator[None]:
    """Let no test count for another."""
    yield
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter("LIMITS*"):
            redis.delete(key)


def limited(config: Settings, **limits_: str) -> Settings:
    return config.model_copy(update=limits_)


def test_every_response_has_rate_limit_headers(config: Settings) -> None:
    client = new_client(create_app(limited(config, rate_limit="5/minute")))

    first, second = client.get("/v1/tasks"), client.get("/v1/nothing-here")
    third = client.get("/v1/tasks")

    assert first.headers["RateLimit-Policy"] == '"burst";q=5;w=60'
    assert re.fullmatch(r'"burst";r=4;t=(60|59|58)', first.headers["RateLimit"])
    assert second.status_code == 404
    assert re.fullmatch(r'"burst";r=3;t=\d+', third.headers["RateLimit"])


def test_too_many_requests_get_429_with_retry_after(config: Settings) -> None:
    client = new_client(create_app(limited(config, rate_limit="2/second")))

    answers = [client.get("/v1/tasks") for _ in range(4)]
    refused = next(answer for answer in answers if answer.status_code == 429)

    assert refused.mimetype == "application/problem+json"
    assert refused.json["type"] == "/problems/too-fast"
    assert refused.headers["RateLimit"].startswith('"burst";r=0;')
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 2
    time.sleep(wait)
    assert client.get("/v1/tasks").status_code == 200


def test_an_accounts_limit_does_not_slow_others(config: Settings) -> None:
    app = create_app(limited(config, rate_limit="2/minute"))
    hog, other = new_client(app), new_client(app)
    for _ in range(3):
        last = hog.get("/v1/tasks")

    assert last.status_code == 429
    assert other.get("/v1/tasks").status_code == 200


def test_scanning_paths_is_limited_by_address(config: Settings) -> None:
    flask = create_app(limited(config, address_rate_limit="3/minute")).test_client()

    answers = [flask.get(f"/v1/{path}") for path in ("0", "1", "tasks/%00", "3")] + [flask.put("/v1/tasks")]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    assert all("RateLimit" in answer.headers for answer in answers)
    assert answers[0].headers["RateLimit-Policy"] == '"address";q=3;w=60'


def test_guessing_keys_is_limited_by_address(config: Settings) -> None:
    app = create_app(limited(config, address_rate_limit="3/minute"))

    answers = [
        app.test_client().get("/v1/tasks", headers={"Authorization": "Bearer sm_live_guess"})
        for _ in range(5)
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].headers["RateLimit-Policy"] == '"address";q=3;w=60'


def test_probes_are_never_limited(config: Settings) -> None:
    app = create_app(limited(config, address_rate_limit="1/minute", rate_limit="1/minute"))

    assert {app.test_client().get("/livez").status_code for _ in range(5)} == {200}


def test_too_many_concurrent_requests_have_their_own_problem_type(
    config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_CONCURRENT", 1)
    client = new_client(create_app(config))
    task_id = client.job()
    waiting = threading.Thread(target=client.get, args=(f"/v1/tasks/{task_id}?wait=2",))
    waiting.start()
    time.sleep(0.5)

    refused = client.get("/v1/tasks")
    waiting.join()

    assert refused.status_code == 429
    assert refused.json["type"] == "/problems/too-many-at-once"
    assert "Retry-After" in refused.headers
    assert client.get("/v1/tasks").status_code == 200


def test_without_redis_requests_are_served_and_counted(config: Settings) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    client = new_client(create_app(limited(config, redis_url=away, rate_limit="5/minute")))

    begun = time.monotonic()
    answers = [client.get("/v1/tasks") for _ in range(7)]

    assert time.monotonic() - begun < 2
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[0].headers["RateLimit"].startswith('"burst";r=4;')


def ask_through(client: Client, forwarded: str) -> int:
    return client.get("/v1/tasks", headers={"X-Forwarded-For": forwarded}).status_code


def test_client_addresses_are_read_behind_trusted_proxies(config: Settings) -> None:
    client = new_client(create_app(limited(config, address_rate_limit="1/minute", trusted_proxies=1)))

    first, spoofed, other = (
        ask_through(client, "198.51.100.1"),
        ask_through(client, "203.0.113.9, 198.51.100.1"),
        ask_through(client, "198.51.100.2"),
    )

    assert (first, spoofed, other) == (200, 429, 200)


def test_forwarded_headers_are_ignored_without_trusted_proxies(config: Settings) -> None:
    client = new_client(create_app(limited(config, address_rate_limit="1/minute")))

    assert [ask_through(client, f"198.51.100.{number}") for number in (1, 2)] == [200, 429]
