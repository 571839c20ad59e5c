import logging
from datetime import timedelta

import pytest
from pydantic import ValidationError

from shared.settings import RENAMED, Settings, warn_of_former_names

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
    environment.setenv("SCENEMILL_LEASE_DURATION", text)
    environment.setenv("SCENEMILL_ARTIFACT_RETENTION", text)

    read = Settings()

    assert read.lease_duration == duration
    assert read.artifact_retention == duration


def test_an_invalid_duration_is_refused(environment):
    environment.setenv("SCENEMILL_LEASE_DURATION", "soon")

    with pytest.raises(ValidationError, match="lease"):
        Settings()


@pytest.mark.parametrize("name", NEEDED)
def test_settings_that_differ_everywhere_have_no_default(environment, name):
    environment.delenv(f"SCENEMILL_{name.upper()}")

    with pytest.raises(ValidationError, match=name):
        Settings()


def test_a_short_token_secret_is_refused_and_not_shown(environment):
    environment.setenv("SCENEMILL_TOKEN_SECRETS", f"{'a' * 32}, {'b' * 40} ,")
    read = Settings()
    environment.setenv("SCENEMILL_TOKEN_SECRETS", f"{'a' * 32},too-short-a-secret")

    assert read.signing_secrets() == ("a" * 32, "b" * 40)
    assert "a" * 32 not in repr(read)
    with pytest.raises(ValidationError, match="token_secrets") as caught:
        Settings()
    assert "too-short-a-secret" not in str(caught.value)


def test_a_former_name_is_still_read_and_the_new_one_wins(environment):
    environment.setenv("SCENEMILL_LEASE", "45")
    environment.setenv("SCENEMILL_DRAIN", "7")
    environment.setenv("SCENEMILL_SHUTDOWN_GRACE", "8")

    read = Settings()

    assert read.lease_duration == timedelta(seconds=45)
    assert read.shutdown_grace == timedelta(seconds=8)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_every_former_name_maps_to_a_setting(old, new):
    assert old not in Settings.model_fields
    assert new in Settings.model_fields


def test_each_former_name_in_use_logs_one_warning(environment, caplog):
    environment.setenv("SCENEMILL_LEASE", "45")
    environment.setenv("SCENEMILL_DRAIN", "7")

    with caplog.at_level(logging.WARNING):
        warn_of_former_names()

    assert [(record.message, record.setting, record.use_instead) for record in caplog.records] == [
        ("setting_renamed", "SCENEMILL_DRAIN", "SCENEMILL_SHUTDOWN_GRACE"),
        ("setting_renamed", "SCENEMILL_LEASE", "SCENEMILL_LEASE_DURATION"),
    ]
