"""`scenemill operator`: the first one who may do everything."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shared.accounts import SCOPES
from shared.models import AuditEvent, User
from shared.security import passwords
from shared.settings import settings
from workers import commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from shared.settings import Settings

pytestmark = pytest.mark.services


@pytest.fixture
def users(database: Engine) -> Iterator[Session]:
    """Give a session that sees what the command has committed, and leaves nothing of it."""
    with Session(database) as session:
        yield session
        session.rollback()
        session.execute(delete(AuditEvent).where(AuditEvent.action == "users.let_in"))
        session.execute(delete(User).where(User.username == "ada"))
        session.commit()


def test_an_operator_is_created_and_reset(process: Settings, users: Session) -> None:
    first = CliRunner().invoke(commands.operator, ["Ada"], catch_exceptions=False)
    user = users.scalars(select(User).where(User.username == "ada")).one()
    assert passwords.verify_password(user.password_hash, first.output.strip())
    assert (set(user.scopes), user.one_time_until is None) == (set(SCOPES), False)
    user.scopes, user.disabled_at = ["jobs:read"], user.created_at
    users.commit()

    again = CliRunner().invoke(commands.operator, ["ada"], catch_exceptions=False)
    as_json = CliRunner().invoke(commands.operator, ["Ada", "--json"], catch_exceptions=False)

    users.refresh(user)
    assert re.fullmatch(r"[a-z0-9-]{23}\n", again.output)
    told = json.loads(as_json.output)
    assert told["user"] == "ada"
    assert passwords.verify_password(user.password_hash, told["password"])
    assert (set(user.scopes), user.disabled_at) == (set(SCOPES), None)
    written = users.scalars(select(AuditEvent.subject).where(AuditEvent.action == "users.let_in"))
    assert list(written) == [f"user:{user.id}"] * 3


def test_an_invalid_name_and_a_folder_without_a_stack_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCENEMILL_DATABASE_URL", raising=False)
    settings.cache_clear()

    nowhere = CliRunner().invoke(commands.operator, ["ada", "--data", str(tmp_path)])
    wrong = CliRunner().invoke(commands.operator, ["a b"])

    assert (nowhere.exit_code, wrong.exit_code) == (2, 2)
    assert "Nothing runs" in nowhere.output
    assert "letters" in wrong.output
