from datetime import timedelta

import pytest
from pydantic import ValidationError

from shared.settings import Settings

NEEDED = {
    "database_url": "postgresql+psycopg2://there/scenemill",
    "broker_url": "redis://there/0",
    "redis_url": "redis://there/1",
    "storage_url": "/files",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(f"SCENEMILL_{name.upper()}", value)
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        pytest.param("45", timedelta(seconds=45), id="a number is seconds"),
        pytest.param("0.3", timedelta(milliseconds=300), id="also a part of one"),
        pytest.param("PT2H", timedelta(hours=2), id="ISO 8601 says more"),
        pytest.param("P30D", timedelta(days=30), id="ISO 8601 days"),
    ],
)
def test_a_duration_is_read_from_the_environment(environment, text, duration):
    environment.setenv("SCENEMILL_LEASE", text)
    environment.setenv("SCENEMILL_KEEP_ARTIFACTS", text)

    read = Settings()

    assert read.lease == duration
    assert read.keep_artifacts == duration


def test_what_is_no_duration_is_refused(environment):
    environment.setenv("SCENEMILL_LEASE", "soon")

    with pytest.raises(ValidationError, match="lease"):
        Settings()


@pytest.mark.parametrize("name", NEEDED)
def test_what_must_differ_has_no_default(environment, name):
    environment.delenv(f"SCENEMILL_{name.upper()}")

    with pytest.raises(ValidationError, match=name):
        Settings()


def test_what_signs_tokens_is_long_and_not_shown_where_it_is_not(environment):
    environment.setenv("SCENEMILL_TOKEN_SECRETS", f"{'a' * 32}, {'b' * 40} ,")
    read = Settings()
    environment.setenv("SCENEMILL_TOKEN_SECRETS", f"{'a' * 32},too-short-a-secret")

    assert read.signing_secrets() == ("a" * 32, "b" * 40)
    assert "a" * 32 not in repr(read)
    with pytest.raises(ValidationError, match="token_secrets") as caught:
        Settings()
    assert "too-short-a-secret" not in str(caught.value)
