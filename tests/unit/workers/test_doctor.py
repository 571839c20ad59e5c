"""What the doctor finds, and how it judges versions."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from tests.loopback.s3 import S3, SECRET_KEY
from workers import commands, doctor


@pytest.mark.parametrize(
    ("version", "floors", "floor"),
    [
        pytest.param((6, 2, 14), doctor.REDIS_FLOORS, (6, 2, 24), id="an old patch of a branch"),
        pytest.param((6, 2, 24), doctor.REDIS_FLOORS, None, id="the floor itself"),
        pytest.param((7, 2, 20), doctor.REDIS_FLOORS, None, id="a newer patch of a branch"),
        pytest.param((7, 0, 15), doctor.REDIS_FLOORS, (7, 2, 16), id="a branch that is not kept up"),
        pytest.param((8, 0, 1), doctor.REDIS_FLOORS, (8, 2, 9), id="between two branches"),
        pytest.param((9, 0, 0), doctor.REDIS_FLOORS, None, id="newer than all"),
        pytest.param((5, 1, 6), doctor.FFMPEG_FLOORS, (8, 1, 3), id="a distribution's ffmpeg"),
        pytest.param((9, 0, 1), doctor.FFMPEG_FLOORS, (9, 0, 2), id="one patch short"),
        pytest.param((9, 0, 2), doctor.FFMPEG_FLOORS, None, id="the bundled ffmpeg"),
        pytest.param((9, 1), doctor.FFMPEG_FLOORS, None, id="a newer ffmpeg"),
    ],
)
def test_a_version_is_compared_with_the_floor_of_its_branch(version, floors, floor):
    assert doctor.missed_floor(version, floors) == floor


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("ffmpeg version 9.0.2-static https://johnvansickle", (9, 0, 2), id="ffmpeg"),
        pytest.param("Redis server v=6.2.14 sha=40305114:0", (6, 2, 14), id="redis"),
        pytest.param("postgres (PostgreSQL) 18.4", (18, 4), id="postgres"),
        pytest.param("no number", (), id="none"),
    ],
)
def test_versions_are_parsed_from_program_output(text, version):
    assert doctor.parse_version(text) == version


def test_this_machine_has_all_that_is_needed(tmp_path):
    findings = doctor.run_checks(tmp_path)

    names = {finding.name for finding in findings}
    assert [finding for finding in findings if finding.state == "missing"] == []
    assert {"Python", "ffmpeg", "Postgres", "Redis", "espeak-ng", "fonts", "data", "disk"} <= names
    assert all(finding.version for finding in findings if finding.name in ("ffmpeg", "Postgres", "Redis"))


def test_an_ffmpeg_that_is_not_there_is_missing(tmp_path):
    findings = doctor.run_checks(tmp_path, ffmpeg=str(tmp_path / "ffmpeg"))

    (found,) = [finding for finding in findings if finding.name == "ffmpeg"]
    assert found.state == "missing"
    assert found.where == str(tmp_path / "ffmpeg")


def test_the_speech_library_says_its_version_or_what_is_wrong_with_it(tmp_path, monkeypatch):
    broken = tmp_path / "espeakng_loader"
    broken.mkdir()
    (broken / "__init__.py").touch()
    (broken / "libespeak-ng.so").write_text("no library")

    (good,) = [finding for finding in doctor.run_checks(tmp_path) if finding.name == "espeak-ng"]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "espeakng_loader", raising=False)
    (bad,) = [finding for finding in doctor.run_checks(tmp_path) if finding.name == "espeak-ng"]

    assert (good.state, good.version.count(".")) == ("ok", 2)
    assert bad.state == "missing"
    assert "libespeak-ng.so" in bad.note


def test_the_command_ends_with_1_when_something_needed_is_missing(tmp_path):
    good = CliRunner().invoke(commands.doctor, ["--json", "--data", str(tmp_path)])
    bad = CliRunner().invoke(
        commands.doctor, ["--json", "--data", str(tmp_path), "--ffmpeg", "/nowhere/ffmpeg"]
    )

    assert (good.exit_code, json.loads(good.stdout)["ok"]) == (0, True)
    assert (bad.exit_code, json.loads(bad.stdout)["ok"]) == (1, False)


def test_the_table_names_each_finding_and_what_is_below_its_floor(tmp_path):
    shown = CliRunner().invoke(commands.doctor, ["--data", str(tmp_path)])

    assert shown.exit_code == 0
    for finding in doctor.run_checks(tmp_path):
        assert finding.name in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "state", "note"),
    [
        pytest.param({}, "ok", "", id="well"),
        pytest.param(
            {"SCENEMILL_S3_SECRET_KEY": "another"}, "missing", "SignatureDoesNotMatch", id="wrong key"
        ),
        pytest.param(
            {"SCENEMILL_STORAGE_URL": "s3://elsewhere"}, "missing", "NoSuchBucket", id="no such bucket"
        ),
        pytest.param({"SCENEMILL_S3_ENDPOINT": "minio:9000"}, "missing", "http://", id="no address"),
        pytest.param(
            {"SCENEMILL_S3_ENDPOINT": "http://127.0.0.1:9"}, "missing", "connect", id="nobody there"
        ),
        pytest.param({"careless": "1"}, "note", "If-None-Match", id="a server that overwrites"),
    ],
)
def test_the_bucket_is_checked_where_one_is_configured(tmp_path, monkeypatch, fault, state, note):
    with S3() as s3:
        s3.careless = "careless" in fault
        places = {**s3.settings(), "SCENEMILL_STORAGE_CACHE_DIR": str(tmp_path / "cache"), **fault}
        for name, value in places.items():
            monkeypatch.setenv(name, value)
        (found,) = [one for one in doctor.run_checks(tmp_path) if one.name == "storage"]

    assert (found.name, found.state) == ("storage", state)
    assert note in found.note
    assert SECRET_KEY not in str(found)
    assert s3.objects == {}
