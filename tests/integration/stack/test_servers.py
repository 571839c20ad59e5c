"""The servers that everything else is tested against."""

from __future__ import annotations

import stat

import psutil
import psycopg2
import pytest
import redis as redis_py

from workers.local import servers

pytestmark = pytest.mark.services


def dsn(url: str) -> str:
    return url.replace("+psycopg2", "")


def servers_under(folder) -> list[psutil.Process]:
    """Both servers work in their data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_postgres_keeps_its_data_between_runs_and_leaves_no_process(open_folder):
    home = open_folder / ("a long folder with spaces " * 5) / "data"

    with servers.postgres(home) as url:
        connection = psycopg2.connect(dsn(url))
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        connection.close()
    left = servers_under(home)
    with servers.postgres(home) as url:
        connection = psycopg2.connect(dsn(url))
        with connection.cursor() as cursor:
            cursor.execute("SELECT answer, current_setting('fsync') FROM kept")
            row = cursor.fetchone()
        connection.close()

    assert left == []
    assert row == (42, "on")
    assert stat.S_IMODE((home / "postgres.password").stat().st_mode) == 0o600


def test_postgres_refuses_who_has_not_the_password(postgres_url):
    wrong = dsn(postgres_url).replace("@", "x@")

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong)


def test_redis_keeps_its_data_between_runs_and_leaves_no_process(tmp_path):
    home = tmp_path / 'with "quotes" and spaces'

    with servers.redis(home) as url, redis_py.Redis.from_url(url) as client:
        client.set("kept", "42")
        policy = client.config_get("maxmemory-policy")
    left = servers_under(home)
    with servers.redis(home) as url, redis_py.Redis.from_url(url) as client:
        kept = client.get("kept")

    assert left == []
    assert kept == b"42"
    assert policy == {"maxmemory-policy": "noeviction"}


def test_redis_refuses_who_has_not_the_password(redis_url):
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])

    with redis_py.Redis(port=port, retry=None) as client, pytest.raises(redis_py.AuthenticationError):
        client.ping()
