"""URLs of brokers and of Sentinel groups."""

from __future__ import annotations

import pytest

from shared.celery_config import celery_settings, priority_for
from shared.redis_client import SentinelGroup, parse_sentinel_url
from shared.settings import Settings

WHOLE = SentinelGroup((("one", 26379), ("two", 26380)), "mine", 3, None, "p@ss", None)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis+sentinel://:p%40ss@one,two:26380/mine/3", id="as limits and others write it"),
        pytest.param("sentinel://:p%40ss@one:26379,two:26380/mine/3", id="as kombu names it"),
        pytest.param(
            "sentinel://:p%40ss@one:26379;sentinel://two:26380/3?master_name=mine", id="as kombu writes it"
        ),
    ],
)
def test_each_spelling_names_the_same_group(url: str) -> None:
    assert parse_sentinel_url(url) == WHOLE


@pytest.mark.parametrize("url", ["redis://one/0", "rediss://one/0", "amqp://one//"])
def test_other_urls_name_none(url: str) -> None:
    assert parse_sentinel_url(url) is None


@pytest.mark.parametrize("url", ["sentinel://one:26379", "sentinel:///mine/0", "sentinel://one/mine/0/more"])
def test_a_group_without_name_or_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="redis\\+sentinel://"):
        parse_sentinel_url(url)


def test_kombu_gets_every_sentinel_with_password_and_database() -> None:
    assert WHOLE.kombu_url() == "sentinel://:p%40ss@one:26379/3;sentinel://:p%40ss@two:26380/3"
    assert "p@ss" not in repr(WHOLE)


def broker(url: str) -> dict[str, object]:
    return celery_settings(Settings(database_url="", broker_url=url, redis_url="", storage_url=""))


def test_a_sentinel_does_not_get_the_servers_password() -> None:
    options = broker("sentinel://:secret@one/mine/0")["broker_transport_options"]

    assert isinstance(options, dict)
    assert options["master_name"] == "mine"
    assert options["sentinel_kwargs"]["password"] is None


def test_rabbitmq_confirms_acknowledges_late_and_counts_priorities_upwards() -> None:
    told = broker("amqp://one//")

    assert told["task_acks_late"] is True
    assert told["broker_transport_options"] == {
        "confirm_publish": True,
        "read_timeout": 10,
        "write_timeout": 5,
    }
    assert [priority_for("amqp://one//", level) for level in (0, 3, 6)] == [9, 6, 3]
    assert [priority_for("redis://one/0", level) for level in (0, 3, 6)] == [0, 3, 6]
