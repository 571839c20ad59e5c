"""What the doctor says of servers that are named by URL."""

from __future__ import annotations

import pytest

from workers.local.ports import free_port
from workers.server_checks import check_server

pytestmark = pytest.mark.services


def test_a_reachable_redis_is_reported_with_version_and_without_password(redis_url: str) -> None:
    found = check_server("broker", redis_url)

    password = redis_url.split(":")[2].partition("@")[0]
    assert found.state in ("ok", "note")
    assert found.version.count(".") == 2
    assert password not in str(found)


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:{}/0", "amqp://user:secret@127.0.0.1:{}//",
                                 "sentinel://:secret@127.0.0.1:{0},127.0.0.1:{0}/name/0", "sentinel://:secret@/"],
                         ids=["redis", "rabbitmq", "sentinel", "no name"])  # fmt: skip
def test_an_unreachable_server_is_reported_missing(url: str) -> None:
    found = check_server("broker", url.format(free_port()))

    assert found.state == "missing"
    assert "secret" not in str(found)
