"""Refresh tokens, and all that ends a log-in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text, update

from api.security import access_tokens, login_throttle
from shared.db import transaction
from shared.models import Login, RefreshToken, User
from tasks.upkeep import sweep

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

    from tests.integration.api.conftest import Client

from tests.integration.api.logins.conftest import SECRET, actions, log_in, opens, refresh

pytestmark = pytest.mark.services


def test_a_refresh_token_is_exchanged_for_the_next(client: Client, name: str) -> None:
    first = log_in(client, name, scope="jobs:read jobs:write").json

    second = refresh(client, first["refresh_token"]).json
    third = refresh(client, second["refresh_token"], scope="jobs:read").json
    fourth = client.flask.post(
        "/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": third["refresh_token"]}
    ).json

    assert third["scope"] == "jobs:read"
    assert fourth["scope"] == "jobs:read jobs:write"
    assert {opens(client, each["access_token"]) for each in (first, second, third, fourth)} == {200}
    assert len({each["refresh_token"] for each in (first, second, third, fourth)}) == 4


def test_excess_scopes_are_refused_and_the_refresh_token_stays_valid(client: Client, name: str) -> None:
    first = log_in(client, name, scope="jobs:read").json

    refused = refresh(client, first["refresh_token"], scope="jobs:write")

    assert (refused.status_code, refused.json["error"]) == (400, "invalid_scope")
    assert refresh(client, first["refresh_token"]).status_code == 200


def test_a_reused_refresh_token_ends_its_log_in(client: Client, name: str) -> None:
    first, other = log_in(client, name).json, log_in(client, name).json
    second = refresh(client, first["refresh_token"]).json

    again = refresh(client, first["refresh_token"])

    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert refresh(client, second["refresh_token"]).status_code == 400
    assert {opens(client, each["access_token"]) for each in (first, second)} == {401}
    assert opens(client, other["access_token"]) == 200
    assert actions(client).count("logins.reused") == 1


def test_parallel_uses_of_a_refresh_token_end_the_log_in(client: Client, name: str, app: Flask) -> None:
    first = log_in(client, name).json
    answers: list[TestResponse] = []
    begin = threading.Barrier(6)

    def ask() -> None:
        begin.wait()
        answers.append(
            app.test_client().post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
        )

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    good = [answer for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers if answer not in good] == [400] * 5
    assert len(good) == 1
    assert opens(client, good[0].json["access_token"]) == 401
    assert refresh(client, good[0].json["refresh_token"]).status_code == 400
    assert actions(client).count("logins.reused") == 1


@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
def test_revoking_any_token_ends_the_log_in_at_once(client: Client, name: str, which: str) -> None:
    first = log_in(client, name).json
    second = refresh(client, first["refresh_token"]).json

    answer = client.flask.post(
        "/v1/auth/revoke", data={"token": second[which], "token_type_hint": "access_token"}
    )

    assert answer.status_code == 200
    assert {opens(client, each["access_token"]) for each in (first, second)} == {401}
    assert refresh(client, second["refresh_token"]).status_code == 400
    assert actions(client)[-1] == "logins.revoked"


def test_revoking_an_unknown_token_succeeds_and_a_key_is_refused(client: Client) -> None:
    ask = client.flask.post

    assert [
        ask("/v1/auth/revoke", data={"token": text}).status_code for text in ("x", "a.b.c", "\u2603")
    ] == [200] * 3
    refused = ask("/v1/auth/revoke", data={"token": client.key})
    assert (refused.status_code, refused.json["error"]) == (400, "unsupported_token_type")
    assert opens(client, client.key) == 200
    assert ask("/v1/auth/revoke", data={"token": ""}).status_code == 400


def test_what_ends_an_owner_ends_its_tokens(client: Client, name: str) -> None:
    key = client.key_with("jobs:read")
    key_id = key.split("_")[2]
    by_user = log_in(client, name).json
    by_key = client.flask.post(
        "/v1/auth/token", json={"grant_type": "client_credentials", "client_id": key_id, "client_secret": key}
    ).json

    client.delete(f"/v1/api-keys/{key_id}")

    assert opens(client, by_key["access_token"]) == 401
    assert refresh(client, by_key["refresh_token"]).status_code == 400
    assert opens(client, by_user["access_token"]) == 200
    with transaction() as session:
        session.execute(update(User).where(User.username == name).values(scopes=["assets:read"]))
    assert opens(client, by_user["access_token"]) == 403
    with transaction() as session:
        session.execute(text("DELETE FROM users WHERE username = :name"), {"name": name})
    assert opens(client, by_user["access_token"]) == 401


def test_a_token_of_an_expired_log_in_is_refused(client: Client, name: str) -> None:
    given = log_in(client, name).json
    with transaction() as session:
        session.execute(
            update(Login).where(Login.account_id == client.account_id).values(expires_at=text("now()"))
        )

    assert opens(client, given["access_token"]) == 401
    assert refresh(client, given["refresh_token"]).status_code == 400


def test_ended_log_ins_are_deleted(client: Client, name: str) -> None:
    kept, gone = log_in(client, name).json, log_in(client, name).json
    with transaction() as session:
        claims = access_tokens.verify(gone["access_token"], [SECRET])
        assert claims
        session.execute(
            update(Login)
            .where(Login.id == claims.login_id)
            .values(revoked_at=text("now() - interval '2 days'"))
        )
        login_throttle.count_attempt(session, [login_throttle.pair_bucket("old", "192.0.2.1")])
        session.execute(text("UPDATE guesses SET forgotten_at = now() - interval '1 second'"))

    sweep.purge()

    with transaction() as session:
        left = session.scalars(
            select(RefreshToken.login_id).where(RefreshToken.account_id == client.account_id)
        ).all()
        assert len(left) == 1
        assert session.scalar(text("SELECT count(*) FROM guesses")) == 0
    assert refresh(client, kept["refresh_token"]).status_code == 200
