"""The servers that everything else is tested against."""

from __future__ import annotations

import os
import pwd
import stat

import psutil
import psycopg2
import pytest
import redis as redis_py

from workers.local import postgres, servers

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


def test_postgres_refuses_a_wrong_password(postgres_url):
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


def test_redis_refuses_a_wrong_password(redis_url):
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])

    with redis_py.Redis(port=port, retry=None) as client, pytest.raises(redis_py.AuthenticationError):
        client.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root runs Postgres as another user.")
def test_root_runs_postgres_as_whoever_owns_the_data(open_folder):
    theirs, fresh = open_folder / "theirs", open_folder / "fresh"
    theirs.mkdir()
    os.chown(theirs, 12345, 12346)

    owner = postgres.owner_of(theirs)
    made = postgres.owner_of(fresh)

    assert (owner.uid, owner.gid) == (12345, 12346)
    assert made.uid == pwd.getpwnam(postgres.SYSTEM_USER).pw_uid
