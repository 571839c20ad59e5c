"""The gateway on a database of its own: what requests commit stays, and must not be seen by other tests."""

from __future__ import annotations

import io
import re
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import create_engine, make_url, select, text
from werkzeug.exceptions import HTTPException

from api.app import create_app
from shared import accounts, db
from shared.db import transaction
from shared.migrations.run import migrate
from shared.models import Job
from shared.settings import Settings, settings
from shared.storage import factory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

HELLO = {"kind": "video", "script": {"scenes": [{"id": "hello", "narration": "Hello, world."}]}}


@dataclass
class Client:
    """Asks as one account."""

    flask: FlaskClient
    account_id: uuid.UUID
    key: str

    def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        answer = self.flask.open(path, method=method, headers=headers, buffered=True, **options)
        check_documented(self.flask.application, answer)
        return answer

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.ask("POST", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.ask("DELETE", path, **options)

    def job(self, job: dict[str, Any] | None = None) -> str:
        answer = self.post("/v1/jobs", json=job or HELLO)
        assert answer.status_code == 202, answer.text
        return str(answer.json["task_id"])

    def asset(self, data: bytes | None = None) -> str:
        answer = self.post("/v1/assets", data=data or picture())
        assert answer.status_code == 201, answer.text
        return str(answer.json["asset_id"])

    def key_with(self, *scopes: str) -> str:
        with transaction() as session:
            return accounts.create_key(session, self.account_id, "test", scopes)[1]


# What goes without saying.
PLAIN = {
    "content-type", "content-length", "cache-control", "x-content-type-options", "date", "last-modified",
    "content-security-policy", "cross-origin-resource-policy", "tus-version",
}  # fmt: skip


@lru_cache(maxsize=4)
def responses(app: Flask) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the OpenAPI document says of the answers, by method and path."""
    paths: dict[str, Any] = app.extensions["openapi"].to_dict()["paths"]
    return {
        (method, path): operation["responses"]
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def check_documented(app: Flask, answer: TestResponse) -> None:
    """Fail where a route answered with a status, or a header, that the OpenAPI document does not name."""
    request = answer.request
    try:
        rule, _ = app.create_url_adapter(request).match(method=request.method, return_rule=True)
    except HTTPException:
        return
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
    known = responses(app)
    told = known.get((request.method.lower(), path)) or known.get(("get", path))
    if told is None or request.method == "OPTIONS":
        return
    assert str(answer.status_code) in told, f"{request.method} {path} was answered {answer.status_code}"
    named = {name.lower() for name in told[str(answer.status_code)].get("headers", {})}
    beyond = {name.lower() for name, _ in answer.headers} - named - PLAIN
    assert not beyond, f"{request.method} {path}, {answer.status_code}, has {beyond}"


def picture(width: int = 64, height: int = 36, kind: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(target, kind)
    return target.getvalue()


def new_client(app: Flask) -> Client:
    with transaction() as session:
        account_id = accounts.ensure_account(session, uuid.uuid4().hex)
        _, key = accounts.create_key(session, account_id, "all", accounts.SCOPES)
    return Client(app.test_client(), account_id, key)


@pytest.fixture(scope="session")
def api_database(postgres_url: str) -> str:
    url = make_url(postgres_url).set(database="scenemill_api")
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE scenemill_api"))
    server.dispose()
    engine = create_engine(url)
    migrate(engine)
    engine.dispose()
    return url.render_as_string(hide_password=False)


def forget() -> None:
    if db.engine.cache_info().currsize:
        db.engine().dispose()
    for cached in (settings, db.engine, db._session_factory, factory.storage):  # noqa: SLF001 (a process has one of each)
        cached.cache_clear()


@pytest.fixture(scope="module")
def config(api_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give the settings of this process, with a storage of the module's own."""
    values = {
        "DATABASE_URL": api_database,
        "BROKER_URL": redis_url,
        "REDIS_URL": redis_url,
        "STORAGE_URL": str(tmp_path_factory.mktemp("storage")),
        "RATE_LIMIT": "100000/minute",
        "ADDRESS_RATE_LIMIT": "100000/minute",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"SCENEMILL_{name}", value)
        forget()
        yield settings()
        forget()


@pytest.fixture(scope="module")
def app(config: Settings) -> Flask:
    return create_app(config)


@pytest.fixture
def client(app: Flask) -> Client:
    """Give a client of an account that no other test has."""
    return new_client(app)


@pytest.fixture
def stranger(app: Flask) -> Client:
    """Give a client of another account."""
    return new_client(app)


@pytest.fixture
def stored(config: Settings) -> Path:
    """Give the folder of stored files."""
    return factory.storage().root


def jobs_of(client: Client) -> list[Job]:
    with transaction() as session:
        return list(session.scalars(select(Job).where(Job.account_id == client.account_id)))
