"""One-time passwords, and how another is set."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text, update

from shared.db import transaction
from shared.models import User
from shared.security import passwords, users

if TYPE_CHECKING:
    from tests.integration.api.conftest import Client

from tests.integration.api.logins.conftest import PASSWORD, actions, log_in, opens

pytestmark = pytest.mark.services


def one_time(client: Client) -> tuple[str, str]:
    name, password = f"user-{uuid.uuid4().hex[:12]}", passwords.make_one_time_password()
    with transaction() as session:
        users.create_user(
            session, client.account_id, name, passwords.hash_password(password), ["jobs:read"], one_time=True
        )
    return name, password


def test_a_one_time_password_sets_a_new_password_once(client: Client) -> None:
    name, given = one_time(client)

    alone = log_in(client, name, given)
    short = log_in(client, name, given, new_password="short")
    same = log_in(client, name, given, new_password=given)
    changed = log_in(client, name, given, new_password=PASSWORD)

    assert (alone.status_code, alone.json["code"], alone.json["error"]) == (
        400, "password-change-needed", "invalid_grant",
    )  # fmt: skip
    assert short.json["errors"] == [
        {"pointer": "#/new_password", "detail": "Must have at least 12 characters."}
    ]
    assert same.json["errors"][0]["pointer"] == "#/new_password"
    assert changed.status_code == 200
    assert log_in(client, name, given, new_password=PASSWORD + "!").json["error"] == "invalid_grant"
    assert log_in(client, name).status_code == 200
    assert "users.password_set" in actions(client)


def test_a_one_time_password_expires_after_a_week(client: Client) -> None:
    name, given = one_time(client)
    with transaction() as session:
        session.execute(update(User).where(User.username == name).values(one_time_until=text("now()")))

    assert log_in(client, name, given, new_password=PASSWORD).json["error"] == "invalid_grant"


def test_a_new_password_ends_all_log_ins(client: Client, name: str) -> None:
    before = log_in(client, name).json

    after = log_in(client, name, new_password="another battery horse").json

    assert opens(client, before["access_token"]) == 401
    assert opens(client, after["access_token"]) == 200
    assert log_in(client, name).json["error"] == "invalid_grant"


def test_user_names_ignore_case_and_passwords_are_normalized(client: Client) -> None:
    name = f"User-{uuid.uuid4().hex[:12]}"
    with transaction() as session:
        kept = passwords.hash_password("caf\u00e9 caf\u00e9 caf\u00e9")
        users.create_user(session, client.account_id, name.lower(), kept, ["jobs:read"], one_time=False)

    assert log_in(client, name.upper(), "cafe\u0301 cafe\u0301 cafe\u0301").status_code == 200
