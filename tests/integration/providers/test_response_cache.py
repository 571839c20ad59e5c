"""Answers that are made once, on a real Redis."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.settings import Settings
from tasks.providers import response_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.services


@pytest.fixture
def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    config = Settings(
        database_url="postgresql://", broker_url="redis://", redis_url=redis_url, storage_url="/nowhere"
    )
    monkeypatch.setattr(response_cache, "settings", lambda: config)
    with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def key() -> str:
    return response_cache.cache_key("script", uuid.uuid4(), {"topic": "tides"})


class Maker:
    """Counts how often it was asked."""

    def __init__(self, value: Any = "made") -> None:
        self.value, self.calls = value, 0
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def __call__(self) -> Any:
        self.calls += 1
        self.asked.set()
        assert self.gate.wait(10)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_a_value_is_computed_once_and_then_cached(redis: Redis, key: str) -> None:
    make = Maker({"a": [1]})

    first, second = (response_cache.get_or_compute(key, make, ttl=60, redis=redis) for _ in range(2))

    assert (first, second) == (
        response_cache.CachedValue({"a": [1]}, cached=False),
        response_cache.CachedValue({"a": [1]}, cached=True),
    )
    assert make.calls == 1
    assert 0 < redis.pttl(key) <= 60_000


def test_fifty_concurrent_callers_make_one_call(redis: Redis, key: str) -> None:
    make = Maker()
    make.gate.clear()

    with ThreadPoolExecutor(50) as pool:
        asked = [
            pool.submit(response_cache.get_or_compute, key, make, ttl=60, redis=redis) for _ in range(50)
        ]
        assert make.asked.wait(10)
        make.gate.set()
        answers = [one.result(10) for one in asked]

    assert make.calls == 1
    assert sum(answer.cached for answer in answers) == 49


def test_a_caller_that_just_missed_the_value_does_not_compute_again(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, look = Maker(), redis.mget

    def look_too_early(*names: str) -> Any:
        monkeypatch.setattr(redis, "mget", look)
        response_cache.get_or_compute(key, make, ttl=60, redis=redis)
        return None, None

    monkeypatch.setattr(redis, "mget", look_too_early)
    answer = response_cache.get_or_compute(key, make, ttl=60, redis=redis)

    assert answer.cached
    assert make.calls == 1


def test_a_waiter_takes_over_from_a_crashed_holder(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.set(f"{key}:lock", "a process that is no more", px=300)
    make = Maker()

    assert response_cache.get_or_compute(key, make, ttl=60, redis=redis) == response_cache.CachedValue(
        "made", cached=False
    )
    assert make.calls == 1


def test_an_error_is_not_cached_and_the_next_caller_computes(redis: Redis, key: str) -> None:
    with pytest.raises(ValueError, match="no"):
        response_cache.get_or_compute(key, Maker(ValueError("no")), ttl=60, redis=redis)

    assert response_cache.get_or_compute(key, Maker(), ttl=60, redis=redis).value == "made"
    assert redis.exists(f"{key}:lock") == 0


def test_a_refresh_computes_again_and_caches_the_new_value(redis: Redis, key: str) -> None:
    response_cache.get_or_compute(key, Maker("old"), ttl=60, redis=redis)

    assert response_cache.get_or_compute(
        key, Maker("new"), ttl=60, refresh=True, redis=redis
    ) == response_cache.CachedValue("new", cached=False)
    assert response_cache.get_or_compute(key, Maker(), ttl=60, redis=redis) == response_cache.CachedValue(
        "new", cached=True
    )


def test_of_concurrent_refreshes_one_computes_and_none_gets_the_old_value(redis: Redis, key: str) -> None:
    response_cache.get_or_compute(key, Maker("old"), ttl=60, redis=redis)
    make = Maker("new")
    make.gate.clear()

    with ThreadPoolExecutor(20) as pool:
        asked = [
            pool.submit(response_cache.get_or_compute, key, make, ttl=60, refresh=True, redis=redis)
            for _ in range(20)
        ]
        assert make.asked.wait(10)
        with pytest.raises(TimeoutError):
            asked[-1].result(0.3)
        make.gate.set()
        answers = [one.result(10) for one in asked]

    assert {answer.value for answer in answers} == {"new"}
    assert make.calls == 1
    assert sum(answer.cached for answer in answers) == 19


def test_a_slow_computation_keeps_its_lock(redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_cache, "LOCK_RENEWAL_SECONDS", 0.05)
    make = Maker()
    make.gate.clear()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(response_cache.get_or_compute, key, make, ttl=60, redis=redis)
        assert make.asked.wait(10)
        other = pool.submit(response_cache.get_or_compute, key, make, ttl=60, redis=redis)
        with pytest.raises(TimeoutError):
            other.result(0.5)
        make.gate.set()
        answers = {one.result(10).cached, other.result(10).cached}

    assert make.calls == 1
    assert answers == {False, True}


def test_every_value_is_computed_without_redis(redis: Redis, key: str) -> None:
    nobody = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    make = Maker()

    answers = [response_cache.get_or_compute(key, make, ttl=60, redis=nobody) for _ in range(2)]

    assert make.calls == 2
    assert not any(answer.cached for answer in answers)


def test_a_value_over_the_limit_is_returned_and_not_cached(redis: Redis, key: str) -> None:
    value = "x" * (response_cache.settings().cache_max_value_bytes + 1)

    assert response_cache.get_or_compute(key, Maker(value), ttl=60, redis=redis).value == value
    assert redis.get(key) is None


def test_accounts_share_no_cached_values() -> None:
    one, other = (response_cache.cache_key("script", uuid.uuid4(), {"topic": "tides"}) for _ in range(2))

    assert one != other
