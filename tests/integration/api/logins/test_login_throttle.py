"""Guessing passwords: how it is slowed, and what it is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from pydantic import SecretStr
from sqlalchemy import event, select, text

from api.app import create_app
from api.security import login_throttle
from shared import db
from shared.db import transaction
from shared.models import User
from workers.local.ports import free_port

if TYPE_CHECKING:
    from flask import Flask

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

from tests.integration.api.logins.conftest import HASH, PASSWORD, SECRET, actions, log_in, refresh

pytestmark = pytest.mark.services


def test_guessing_is_throttled_with_retry_after(client: Client, name: str) -> None:
    answers = [log_in(client, name, f"guess number {number}") for number in range(12)]

    assert [answer.status_code for answer in answers] == [400] * 10 + [429] * 2
    assert answers[-1].json["code"] == "too-many-guesses"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert (
        log_in(client, name).status_code == 429
    )  # also for who knows it: else it would tell that it is right
    assert actions(client).count("logins.refused") == 10


def test_parallel_guesses_count_like_sequential_ones(client: Client, name: str, app: Flask) -> None:
    answers: list[int] = []

    def guess(number: int) -> None:
        form = {"grant_type": "password", "username": name, "password": f"guess {number}"}
        answers.append(app.test_client().post("/v1/auth/token", data=form).status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [400] * 10 + [429] * 14


def test_successful_log_ins_refund_their_attempt(client: Client, name: str) -> None:
    with transaction() as session:
        login_throttle.count_attempt(session, [login_throttle.pair_bucket(name, "127.0.0.1")] * 8)

    assert {log_in(client, name).status_code for _ in range(4)} == {200}
    answers = [log_in(client, name, "wrong").status_code for _ in range(3)]
    assert answers == [400, 400, 429]


def through(app: Flask, name: str, address: str, password: str = "wrong") -> int:  # noqa: S107 (opens nothing)
    form = {"grant_type": "password", "username": name, "password": password}
    return (
        app.test_client().post("/v1/auth/token", data=form, environ_base={"REMOTE_ADDR": address}).status_code
    )


def test_guesses_elsewhere_do_not_lock_out_a_known_address(client: Client, name: str, app: Flask) -> None:
    assert through(app, name, "192.0.2.7", PASSWORD) == 200
    with transaction() as session:
        for _ in range(100):
            login_throttle.count_attempt(session, [login_throttle.name_bucket(name)])

    assert through(app, name, "198.51.100.9", PASSWORD) == 429
    assert through(app, name, "192.0.2.7", PASSWORD) == 200


def test_password_spraying_is_throttled_by_address(app: Flask) -> None:
    with transaction() as session:
        for _ in range(49):
            login_throttle.count_attempt(session, [login_throttle.address_bucket("2001:db8::1")])

    assert [through(app, f"name-{at}", f"2001:db8::{at}") for at in (2, 3)] == [400, 429]
    assert through(app, "name-4", "2001:db8:0:1::1") == 400


def test_guesses_are_counted_without_redis(config: Settings, client: Client, name: str) -> None:
    away = {"redis_url": f"redis://127.0.0.1:{free_port()}/0", "token_secrets": SecretStr(SECRET)}
    app = create_app(config.model_copy(update=away))

    assert [through(app, name, "192.0.2.1") for _ in range(11)] == [400] * 10 + [429]
    assert (
        through(create_app(config.model_copy(update=away)), name, "192.0.2.1") == 429
    )  # another process knows too


def test_successful_log_ins_are_limited_too(client: Client, name: str) -> None:
    with transaction() as session:
        user_id = session.scalars(select(User.id).where(User.username == name)).one()
        for _ in range(300):
            login_throttle.count_attempt(session, [login_throttle.logins_bucket(f"user:{user_id}")])

    answer = log_in(client, name)

    assert (answer.status_code, answer.json["code"]) == (429, "too-many-guesses")


def test_refusing_an_unknown_user_takes_as_long(
    client: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By construction: the same calls are made with hashes of the same parameters."""
    hashes: list[str] = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(
        PasswordHasher,
        "verify",
        lambda self, kept, given: (hashes.append(kept), verify(self, kept, given))[1],
    )

    known = log_in(client, name, "wrong password").json
    unknown = log_in(client, "nobody-at-all", "wrong password").json

    assert [extract_parameters(one) for one in hashes] == [extract_parameters(HASH)] * 2
    told = ("type", "code", "title", "status", "detail", "error")
    assert {key: known[key] for key in told} == {key: unknown[key] for key in told}


def test_an_unknown_user_costs_the_same_statements(client: Client, name: str) -> None:
    """By construction too: as many statements and as many that write, so that commits take as long."""

    def statements(of: str) -> list[str]:
        said: list[str] = []

        def listen(*arguments: Any) -> None:
            said.append(arguments[2].split()[0])

        event.listen(db.engine(), "before_cursor_execute", listen)
        try:
            assert log_in(client, of, "wrong password").status_code == 400
        finally:
            event.remove(db.engine(), "before_cursor_execute", listen)
        return said

    known, unknown = statements(name), statements("nobody-at-all")

    assert len(known) == len(unknown)
    writes = ("INSERT", "UPDATE")
    assert [word in writes for word in known] == [word in writes for word in unknown]


def test_no_secret_is_stored_or_logged(client: Client, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    given = log_in(client, name).json
    after = refresh(client, given["refresh_token"]).json
    wrong = "my-secret-typed-as-a-name"
    answers = [
        log_in(client, wrong, PASSWORD),
        log_in(client, name, "typo-of-my-password"),
        refresh(client, "sm_refresh_x"),
    ]
    refresh(client, given["refresh_token"])

    secrets = [
        PASSWORD, wrong, "typo-of-my-password", SECRET,
        *(each[kind] for each in (given, after) for kind in ("access_token", "refresh_token")),
    ]  # fmt: skip
    with transaction() as session:
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = "\n".join(
            str(row)
            for table in tables
            for row in session.execute(text(f'SELECT t::text FROM "{table}" t'))  # noqa: S608 (names of ours)
        )
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in secrets:
        assert secret not in rows
        assert secret not in said
        assert all(secret not in answer.text for answer in answers)
