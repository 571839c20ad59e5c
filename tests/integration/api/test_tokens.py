"""Log-ins: tokens for a password, a key or a refresh token, and their end."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from api.app import create_app
from shared import passwords, users
from shared.accounts import SCOPES
from shared.db import transaction
from shared.models import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.test import TestResponse

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

pytestmark = pytest.mark.services

PASSWORD = "correct horse battery"
SECRET = "s" * 32
# One hash for all tests: they are about what is done with it.
HASH = passwords.hashed(PASSWORD)


@pytest.fixture(scope="module")
def app(config: Settings) -> Flask:
    return create_app(config.model_copy(update={"token_secrets": SecretStr(SECRET)}))


@pytest.fixture(autouse=True)
def counters(app: Flask) -> Iterator[None]:
    """Let no test count for another: all come from one address."""
    yield
    with transaction() as session:
        session.execute(text("DELETE FROM guesses"))


@pytest.fixture
def name(client: Client) -> str:
    """Give the name of a user of the client's account, who may do all but administer."""
    made = f"user-{uuid.uuid4().hex[:12]}"
    scopes = [scope for scope in SCOPES if scope != "admin"]
    with transaction() as session:
        users.create(session, client.account_id, made, HASH, scopes, one_time=False)
    return made


def log_in(client: Client, name: str, password: str = PASSWORD, **more: Any) -> TestResponse:
    form = {"grant_type": "password", "username": name, "password": password, **more}
    return client.flask.post("/v1/auth/token", data=form)


def refresh(client: Client, token: str, **more: Any) -> TestResponse:
    return client.flask.post("/v1/auth/refresh", json={"refresh_token": token, **more})


def opens(client: Client, token: str, path: str = "/v1/tasks") -> int:
    return client.get(path, key=token).status_code


def actions(client: Client) -> list[str]:
    with transaction() as session:
        query = (
            select(AuditEvent.action)
            .where(AuditEvent.account_id == client.account_id)
            .order_by(AuditEvent.id)
        )
        return list(session.scalars(query))


def test_a_password_is_changed_for_tokens_that_open_the_account(client: Client, name: str) -> None:
    task = client.job()

    answer = log_in(client, name)

    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
    assert set(answer.json["scope"].split()) == set(SCOPES) - {"admin"}
    assert opens(client, answer.json["access_token"], f"/v1/tasks/{task}") == 200
    assert actions(client)[-1] == "logins.begun"
