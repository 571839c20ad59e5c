"""A gateway that signs tokens, and a user of the client's account. Nobody's guesses count for the next test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from api.app import create_app
from shared.accounts import SCOPES
from shared.db import transaction
from shared.models import AuditEvent
from shared.security import passwords, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.test import TestResponse

    from shared.settings import Settings
    from tests.integration.api.conftest import Client

PASSWORD = "correct horse battery"
SECRET = "s" * 32
# One hash for all tests: they are about what is done with it.
HASH = passwords.hash_password(PASSWORD)


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
        users.create_user(session, client.account_id, made, HASH, scopes, one_time=False)
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
