"""Users and accounts as operators make, change and end them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from shared.db import transaction
from shared.models import AuditEvent, IdempotencyKey, User
from tests.integration.api.logins.conftest import PASSWORD, log_in, opens, refresh

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services


def make(client: Client, account_id: object, **more: Any) -> TestResponse:
    body = {"username": f"user-{uuid.uuid4().hex[:12]}", "scopes": ["jobs:read"], **more}
    headers = body.pop("headers", {})
    return client.post(f"/v1/admin/accounts/{account_id}/users", json=body, headers=headers)


def test_a_new_user_gets_a_one_time_password(client: Client, stranger: Client) -> None:
    made = make(client, stranger.account_id)

    assert made.status_code == 201, made.text
    name, given = made.json["username"], made.json["password"]
    assert log_in(client, name, given).json["code"] == "password-change-needed"
    tokens = log_in(client, name, given, new_password=PASSWORD).json
    assert opens(client, tokens["access_token"], f"/v1/tasks/{stranger.job()}") == 200
    listed = client.get(f"/v1/admin/accounts/{stranger.account_id}/users")
    assert [(one["username"], one["one_time_until"]) for one in listed.json["data"]] == [(name, None)]
    assert given not in listed.text
    assert "hash" not in listed.text


def test_a_user_is_created_with_a_given_password(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD, username=f"Ann-{uuid.uuid4().hex}@example.com")

    assert (made.status_code, made.json["password"], made.json["one_time_until"]) == (201, None, None)
    assert made.json["username"].startswith("ann-")
    assert log_in(client, made.json["username"].upper()).status_code == 200


def test_user_names_are_unique_over_all_accounts(client: Client, stranger: Client) -> None:
    first = make(client, client.account_id, password=PASSWORD)

    again = make(client, stranger.account_id, username=first.json["username"].upper())

    assert again.status_code == 409
    assert make(client, uuid.uuid4()).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"username": ""}, {"username": "a b"}, {"username": "a\u0430"}, {"username": "-a"}, {"password": "short"},
        {"password": "a" * 40}, {"scopes": []}, {"scopes": ["root"]}, {"password_hash": "x"}, {"user_id": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_user_is_reported(client: Client, body: dict[str, Any]) -> None:
    answer = make(client, client.account_id, **body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"].startswith(f"#/{next(iter(body))}")


def test_an_idempotent_creation_stores_no_guessable_password(client: Client) -> None:
    name = f"user-{uuid.uuid4().hex[:12]}"
    headers = {"Idempotency-Key": "k"}

    first = make(client, client.account_id, username=name, headers=headers)
    again = make(client, client.account_id, username=name, headers=headers)
    other = make(client, client.account_id, username=name, password=PASSWORD, headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json == {**first.json, "password": None}
    with transaction() as session:
        query = select(IdempotencyKey).where(IdempotencyKey.account_id == client.account_id)
        assert first.json["password"] not in str(session.scalars(query).one().body)


def test_a_user_is_changed_disabled_and_enabled(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD).json
    path = f"/v1/admin/users/{made['user_id']}"
    before = log_in(client, made["username"]).json

    wider = client.ask("PUT", path, json={"scopes": ["assets:read", "jobs:read"]})
    assert wider.json["scopes"] == ["assets:read", "jobs:read"]
    assert opens(client, before["access_token"]) == 200
    disabled = client.ask("PUT", path, json={"disabled": True})

    assert disabled.json["disabled_at"]
    assert opens(client, before["access_token"]) == 401
    assert refresh(client, before["refresh_token"]).status_code == 400
    assert log_in(client, made["username"]).json["error"] == "invalid_grant"
    assert client.ask("PUT", path, json={"disabled": False}).json["disabled_at"] is None
    assert opens(client, before["access_token"]) == 401  # what has ended does not come back
    assert log_in(client, made["username"]).status_code == 200
    assert client.ask("PUT", path, json={"password": "another password"}).status_code == 200
    assert log_in(client, made["username"]).status_code == 400
    assert log_in(client, made["username"], "another password").status_code == 200
    assert client.ask("PUT", f"/v1/admin/users/{uuid.uuid4()}", json={}).status_code == 404


def test_a_forgotten_password_is_reset(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD).json
    before = log_in(client, made["username"]).json

    reset = client.post(f"/v1/admin/users/{made['user_id']}/one-time-password")

    assert reset.status_code == 200
    assert reset.json["one_time_until"] > reset.json["created_at"]
    assert opens(client, before["access_token"]) == 401
    assert log_in(client, made["username"]).json["error"] == "invalid_grant"
    answer = log_in(client, made["username"], reset.json["password"], new_password=PASSWORD)
    assert answer.status_code == 200


def test_a_user_is_deleted_with_its_log_ins(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD).json
    before = log_in(client, made["username"]).json
    path = f"/v1/admin/users/{made['user_id']}"

    assert [client.delete(path).status_code for _ in range(2)] == [204, 404]

    assert opens(client, before["access_token"]) == 401
    with transaction() as session:
        assert session.get(User, uuid.UUID(made["user_id"])) is None


def test_operators_cannot_lock_themselves_out(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD, scopes=["admin"]).json
    token = log_in(client, made["username"]).json["access_token"]
    path = f"/v1/admin/users/{made['user_id']}"

    assert client.ask("PUT", path, json={"disabled": True}, key=token).status_code == 409
    assert client.delete(path, key=token).status_code == 409
    account = f"/v1/admin/accounts/{client.account_id}"
    assert client.ask("PUT", account, json={"disabled": True}, key=token).status_code == 409
    assert client.ask("PUT", path, json={"scopes": ["admin", "jobs:read"]}, key=token).status_code == 200


def test_a_disabled_account_refuses_everybody_until_it_is_enabled(client: Client, stranger: Client) -> None:
    made = make(client, stranger.account_id, password=PASSWORD).json
    by_user = log_in(client, made["username"]).json
    key_id = stranger.key.split("_")[2]
    grant = {"grant_type": "client_credentials", "client_id": key_id, "client_secret": stranger.key}
    by_key = client.flask.post("/v1/auth/token", json=grant).json
    task = stranger.job()
    path = f"/v1/admin/accounts/{stranger.account_id}"

    disabled = client.ask("PUT", path, json={"disabled": True})

    assert disabled.json["disabled_at"]
    tokens = [by_user["access_token"], by_key["access_token"], stranger.key]
    assert [opens(client, token) for token in tokens] == [401, 401, 401]
    assert log_in(client, made["username"]).json["error"] == "invalid_grant"
    assert client.flask.post("/v1/auth/token", json=grant).json["error"] == "invalid_client"
    assert refresh(client, by_key["refresh_token"]).status_code == 400
    assert client.ask("PUT", path, json={"disabled": False, "weight": 2}).json["disabled_at"] is None
    assert [opens(client, token) for token in tokens] == [401, 401, 200]
    assert opens(stranger, stranger.key, f"/v1/tasks/{task}") == 200


def test_only_operators_see_users(client: Client) -> None:
    key = client.key_with("jobs:read", "keys:write")
    made = make(client, client.account_id).json

    for method, path in (
        ("GET", f"/v1/admin/accounts/{client.account_id}/users"),
        ("POST", f"/v1/admin/accounts/{client.account_id}/users"),
        ("PUT", f"/v1/admin/users/{made['user_id']}"),
        ("POST", f"/v1/admin/users/{made['user_id']}/one-time-password"),
        ("DELETE", f"/v1/admin/users/{made['user_id']}"),
    ):
        assert client.ask(method, path, key=key, json={}).status_code == 403


def test_changes_to_users_are_audited(client: Client) -> None:
    made = make(client, client.account_id, password=PASSWORD).json
    log_in(client, made["username"], "wrong password")
    log_in(client, made["username"])
    client.delete(f"/v1/admin/users/{made['user_id']}")

    with transaction() as session:
        query = select(AuditEvent).where(AuditEvent.account_id == client.account_id).order_by(AuditEvent.id)
        rows = [(row.action, row.actor) for row in session.scalars(query)]

    key_id, user = client.key.split("_")[2], f"user:{made['user_id']}"
    assert rows == [
        ("users.created", key_id), ("logins.refused", None), ("logins.begun", user), ("users.deleted", key_id),
    ]  # fmt: skip
    shown = client.get("/v1/admin/audit-events?action=logins.begun&limit=1").json["data"]
    assert shown[0]["actor"] == user
