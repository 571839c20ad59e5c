"""Keys and scopes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from shared.accounts import SCOPES
from shared.db import transaction
from shared.models import IdempotencyKey
from tests.integration.api.conftest import HELLO

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

NEEDED = [
    ("POST", "/v1/jobs", "jobs:write"),
    ("POST", "/v1/batch", "jobs:write"),
    ("GET", "/v1/tasks", "jobs:read"),
    ("POST", "/v1/assets", "assets:write"),
    ("GET", "/v1/assets", "assets:read"),
    ("POST", "/v1/api-keys", "keys:write"),
    ("GET", "/v1/api-keys", "keys:write"),
]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDED)
def test_a_missing_scope_is_named(client: Client, method: str, path: str, scope: str) -> None:
    key = client.key_with(*(each for each in SCOPES if each != scope))

    answer = client.ask(method, path, key=key)

    assert answer.status_code == 403
    assert scope in answer.json["detail"]
    assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]


def test_the_scope_alone_decides(client: Client) -> None:
    assert client.get("/v1/tasks", key=client.key_with("jobs:read")).status_code == 200
    assert client.post("/v1/jobs", json=HELLO, key=client.key_with("jobs:write")).status_code == 202
    assert client.get("/v1/voices", key=client.key_with("assets:read")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer sm_live_000000000000_" + "0" * 48 + "_00000000",
        "Bearer sm_live_é_x_y", "Bearer \u00b2", "Token sm_live",
    ],
)  # fmt: skip
def test_a_malformed_key_is_refused(client: Client, header: str) -> None:
    answer = client.get("/v1/tasks", headers={"Authorization": header})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_key_with_another_secret_is_refused(client: Client) -> None:
    body = client.key.rpartition("_")[0]
    body = body[:-1] + ("0" if body[-1] != "0" else "1")

    assert client.get("/v1/tasks", key=f"{body}_{zlib.crc32(body.encode()):08x}").status_code == 401


def test_a_new_key_works_until_it_is_revoked(client: Client) -> None:
    made = client.post("/v1/api-keys", json={"name": "ci", "scopes": ["jobs:read"]})
    assert made.status_code == 201
    key = made.json["key"]
    assert client.get("/v1/tasks", key=key).status_code == 200

    answer = client.delete(f"/v1/api-keys/{made.json['id']}")

    assert answer.status_code == 204
    assert client.get("/v1/tasks", key=key).status_code == 401
    assert client.delete(f"/v1/api-keys/{made.json['id']}").status_code == 404


def test_keys_are_listed_without_their_secrets(client: Client, stranger: Client) -> None:
    made = client.post("/v1/api-keys", json={"name": "ci", "scopes": ["jobs:read"]}).json

    answer = client.get("/v1/api-keys")

    shown = {one["id"]: one for one in answer.json["data"]}
    assert shown[made["id"]]["scopes"] == ["jobs:read"]
    assert made["key"].split("_")[3] not in answer.text
    assert not set(shown) & {one["id"] for one in stranger.get("/v1/api-keys").json["data"]}


def test_a_key_cannot_grant_a_scope_it_lacks(client: Client) -> None:
    key = client.key_with("keys:write", "jobs:read")

    refused = client.post("/v1/api-keys", json={"name": "x", "scopes": ["jobs:read", "admin"]}, key=key)
    given = client.post("/v1/api-keys", json={"name": "x", "scopes": ["jobs:read"]}, key=key)

    assert (refused.status_code, given.status_code) == (403, 201)


def test_a_key_of_another_account_cannot_be_revoked(client: Client, stranger: Client) -> None:
    assert client.delete(f"/v1/api-keys/{stranger.key.split('_')[2]}").status_code == 404
    assert stranger.get("/v1/tasks").status_code == 200


def test_a_keys_secret_is_not_stored_with_its_response(client: Client) -> None:
    body = {"name": "ci", "scopes": ["jobs:read"]}
    first = client.post("/v1/api-keys", json=body, headers={"Idempotency-Key": "k"}).json
    again = client.post("/v1/api-keys", json=body, headers={"Idempotency-Key": "k"}).json

    assert again == {**first, "key": None}
    with transaction() as session:
        row = session.scalars(
            select(IdempotencyKey).where(IdempotencyKey.account_id == client.account_id)
        ).one()
    assert first["key"].split("_")[3] not in f"{row.body}{row.text}"


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "", "scopes": ["admin"]}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["root"]}],
)
def test_a_key_needs_a_name_and_valid_scopes(client: Client, body: object) -> None:
    assert client.post("/v1/api-keys", json=body).status_code == 422
