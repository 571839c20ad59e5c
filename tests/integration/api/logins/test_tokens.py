"""Tokens for a password or a key: what they open, and what is refused."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from api.app import create_app
from api.security import access_tokens
from shared import accounts
from shared.accounts import SCOPES
from shared.db import transaction
from shared.models import AuditEvent

if TYPE_CHECKING:
    from flask import Flask

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

from tests.integration.api.logins.conftest import PASSWORD, SECRET, actions, log_in, opens, refresh

pytestmark = pytest.mark.services


def test_a_password_grants_tokens(client: Client, name: str) -> None:
    task = client.job()

    answer = log_in(client, name)

    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
    assert set(answer.json["scope"].split()) == set(SCOPES) - {"admin"}
    assert opens(client, answer.json["access_token"], f"/v1/tasks/{task}") == 200
    assert actions(client)[-1] == "logins.begun"


def test_granted_scopes_are_the_requested_ones(client: Client, name: str) -> None:
    less = log_in(client, name, scope="jobs:read assets:read").json
    more = log_in(client, name, scope="jobs:read admin")
    unknown = log_in(client, name, scope="root")

    assert less["scope"] == "assets:read jobs:read"
    assert opens(client, less["access_token"]) == 200
    refused = client.post("/v1/jobs", json={}, key=less["access_token"])
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert 'scope="jobs:write"' in refused.headers["WWW-Authenticate"]
    for answer in (more, unknown):
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("form", ["basic", "body", "json", "whole"])
def test_an_api_key_grants_tokens(client: Client, form: str) -> None:
    key = client.key_with("jobs:read", "assets:read")
    _, _, key_id, secret, _ = key.split("_")
    grant = {"grant_type": "client_credentials"}
    given: dict[str, Any] = {
        "basic": {
            "data": grant,
            "headers": {"Authorization": "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()},
        },
        "body": {"data": {**grant, "client_id": key_id, "client_secret": secret}},
        "json": {"json": {**grant, "client_id": key_id, "client_secret": secret}},
        "whole": {"data": {**grant, "client_id": key_id, "client_secret": key}},
    }[form]

    answer = client.flask.post("/v1/auth/token", **given)

    assert answer.status_code == 200, answer.text
    assert answer.json["scope"] == "assets:read jobs:read"
    assert opens(client, answer.json["access_token"]) == 200
    assert refresh(client, answer.json["refresh_token"]).status_code == 200


WRONG = [
    pytest.param({"a": "b"}, 400, "invalid_request", id="nothing"),
    pytest.param({"grant_type": ""}, 400, "invalid_request", id="empty"),
    pytest.param({"grant_type": "implicit"}, 400, "unsupported_grant_type", id="another grant"),
    pytest.param({"grant_type": "password"}, 400, "invalid_request", id="no name"),
    pytest.param({"grant_type": "password", "username": "a", "password": ""}, 400, "invalid_request", id="no password"),
    pytest.param({"grant_type": "password", "username": "nobody", "password": "x"}, 400, "invalid_grant", id="nobody"),
    pytest.param({"grant_type": "password", "username": "a\0", "password": "x"}, 400, "invalid_request", id="a NUL"),
    pytest.param({"grant_type": "client_credentials"}, 400, "invalid_request", id="no client"),
    pytest.param(
        {"grant_type": "client_credentials", "client_id": "a" * 12, "client_secret": "b" * 48},
        401, "invalid_client", id="an unknown client",
    ),
    pytest.param(
        {"grant_type": "client_credentials", "client_id": "é", "client_secret": "\u2603"},
        401, "invalid_client", id="letters that no key has",
    ),
    pytest.param({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant", id="no token of ours"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["data", "json"])
@pytest.mark.parametrize(("given", "status", "error"), WRONG)
def test_a_refusal_is_a_problem_with_oauths_error_code(
    app: Flask, given: dict[str, str], status: int, error: str, kind: str
) -> None:
    answer = app.test_client().post("/v1/auth/token", **{kind: given})

    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert app.test_client().get(answer.json["type"]).status_code == 200
    assert (status == 401) == ("WWW-Authenticate" in answer.headers)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"grant_type=password&grant_type=password", "application/x-www-form-urlencoded", id="twice"),
        pytest.param(b"grant_type=%ff", "application/x-www-form-urlencoded", id="no UTF-8"),
        pytest.param(b"grant_type=\xff", "application/x-www-form-urlencoded", id="not encoded"),
        pytest.param(b"&".join(b"a%d=1" % n for n in range(60)), "application/x-www-form-urlencoded", id="many"),
        pytest.param(b"{", "application/json", id="half"),
        pytest.param(b'{"grant_type": "a", "grant_type": "a"}', "application/json", id="a member twice"),
        pytest.param(b"[]", "application/json", id="a list"),
        pytest.param(b'{"grant_type": ["password"]}', "application/json", id="of another type"),
    ],
)  # fmt: skip
def test_a_malformed_token_request_is_refused(app: Flask, body: bytes, kind: str) -> None:
    answer = app.test_client().post("/v1/auth/token", data=body, content_type=kind)

    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_large_body_and_another_type_are_refused(app: Flask) -> None:
    ask = app.test_client().post

    assert ask("/v1/auth/token", data=b"a" * 20_000, content_type="application/json").status_code == 413
    assert ask("/v1/auth/token", data=b"<a/>", content_type="text/xml").status_code == 415


def test_client_credentials_sent_twice_are_refused(client: Client) -> None:
    _, _, key_id, secret, _ = client.key.split("_")
    basic = "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()

    for header, more, status in (
        (basic, {"client_secret": secret}, 400),
        (basic, {"client_id": "b" * 12}, 400),
        ("Basic !", {}, 401),
        ("Basic " + base64.b64encode(b"\xff\xfe").decode(), {}, 401),
        ("Bearer x", {}, 401),
    ):
        form = {"grant_type": "client_credentials", **more}
        answer = client.flask.post("/v1/auth/token", data=form, headers={"Authorization": header})
        assert answer.status_code == status, (header, answer.text)


def test_resources_of_another_account_are_not_found(client: Client, stranger: Client, name: str) -> None:
    token = log_in(client, name).json["access_token"]

    assert opens(client, token, f"/v1/tasks/{stranger.job()}") == 404


def test_forged_tokens_are_refused(client: Client, name: str) -> None:
    good = log_in(client, name).json["access_token"]
    claims = access_tokens.verify(good, [SECRET])
    assert claims
    forged = [
        access_tokens.issue(claims.subject, claims.login_id, list(SCOPES), secret="x" * 32, seconds=900),
        access_tokens.issue(
            claims.subject, claims.login_id, list(SCOPES), secret=SECRET, seconds=900, now=1_000_000_000
        ),
        access_tokens.issue(
            f"user:{uuid.uuid4()}", claims.login_id, ["jobs:read"], secret=SECRET, seconds=900
        ),
        access_tokens.issue(claims.subject, uuid.uuid4(), ["jobs:read"], secret=SECRET, seconds=900),
        good[:-2],
        good + "\u00b2",
        "a.b.c",
        good.replace(".", "..", 1),
    ]

    assert {opens(client, token) for token in forged} == {401}
    # A scope that somebody wrote into a token of ours opens nothing that its owner may not.
    wide = access_tokens.issue(claims.subject, claims.login_id, ["admin"], secret=SECRET, seconds=900)
    assert opens(client, wide, "/v1/admin/accounts") == 403


def test_a_former_secret_verifies_while_it_is_configured(config: Settings, client: Client, name: str) -> None:
    old = log_in(client, name).json["access_token"]
    new = "n" * 32
    both = create_app(
        config.model_copy(update={"token_secrets": SecretStr(f"{new}, {SECRET}")})
    ).test_client()
    after = create_app(config.model_copy(update={"token_secrets": SecretStr(new)})).test_client()

    def status(app: Any, token: str) -> int:
        return int(app.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"}).status_code)

    given = both.post(
        "/v1/auth/token", data={"grant_type": "password", "username": name, "password": PASSWORD}
    ).json
    assert (status(both, old), status(after, old)) == (200, 401)
    assert (status(both, given["access_token"]), status(after, given["access_token"])) == (200, 200)


def test_without_a_secret_only_api_keys_work(config: Settings, client: Client) -> None:
    app = create_app(config).test_client()

    for path, body in (
        ("token", {"grant_type": "password", "username": "a", "password": "b"}),
        ("refresh", {}),
    ):
        answer = app.post(f"/v1/auth/{path}", json={"refresh_token": "x", **body})
        assert (answer.status_code, answer.json["code"]) == (501, "no-tokens")
    assert app.get("/v1/tasks", headers={"Authorization": f"Bearer {client.key}"}).status_code == 200


def test_a_token_creates_keys_with_its_own_scopes_only(client: Client, name: str) -> None:
    token = log_in(client, name, scope="keys:write jobs:read").json["access_token"]

    given = client.post("/v1/api-keys", json={"name": "x", "scopes": ["jobs:read"]}, key=token)
    more = client.post("/v1/api-keys", json={"name": "x", "scopes": ["jobs:write"]}, key=token)

    assert (given.status_code, more.status_code) == (201, 403)
    with transaction() as session:
        actor = session.scalars(
            select(AuditEvent.actor).where(
                AuditEvent.account_id == client.account_id, AuditEvent.action == "keys.created"
            )
        ).one()
    assert actor
    assert actor.startswith("user:")


def test_an_unknown_key_is_refused_and_a_wrong_secret_is_audited(client: Client) -> None:
    _, _, key_id, _, _ = client.key.split("_")
    strange = f"sm_live_{key_id}\0_{'0' * 48}"
    grant = {"grant_type": "client_credentials", "client_id": key_id}

    for secret in (f"{strange}_{accounts.checksum(strange)}", "0" * 48, client.key[:-1], "sm_live_"):
        answer = client.flask.post(
            "/v1/auth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()},
        )
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    other = client.key_with("jobs:read")
    assert client.flask.post("/v1/auth/token", data={**grant, "client_secret": other}).status_code == 401
    assert actions(client) == ["logins.refused"] * 5
