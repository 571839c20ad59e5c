"""How an attempt's success is written down, when the database's answer was lost or another has the job by then."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select

from shared.db import transaction
from shared.lifecycle import jobs
from shared.models import Artifact, Job
from shared.settings import settings
from shared.states import Stage, State
from shared.storage.factory import storage
from tasks import run
from tasks.run import JobOutput
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.settings import Settings
    from tasks.attempt import Attempt

pytestmark = pytest.mark.services


@pytest.fixture
def job(process: Settings) -> Iterator[Job]:
    del process  # it is the one that works
    with transaction() as session:
        made = factories.job(session, published_at=datetime.now(UTC))
    yield made
    with transaction() as session:
        session.execute(delete(Job).where(Job.id == made.id))


def stored(attempt: Attempt, folder: Path) -> dict[str, Any]:
    """Put a file where this attempt puts its artifacts, and return its row."""
    key = f"artifacts/{attempt.job.id}/{attempt.job.attempt}/video.mp4"
    file = folder / "video.mp4"
    file.write_bytes(b"film")
    storage().put(file, key)
    return {
        "name": "video.mp4", "position": 0, "storage_key": key, "media_type": "video/mp4", "bytes": 4,
        "sha256": "0" * 64, "width": 2, "height": 2, "duration": 1.0,
    }  # fmt: skip


def test_an_end_whose_answer_was_lost_keeps_its_files(job: Job, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []

    def perform(attempt: Attempt) -> JobOutput:
        rows.append(stored(attempt, tmp_path))
        with transaction() as session:  # as a COMMIT does whose answer does not come
            assert jobs.succeed(session, attempt.job, {}, rows)
        return JobOutput({}, tuple(rows))

    run.run_job(str(job.id), perform, run.claim_queued(Stage.WRITING))

    assert storage().locate(rows[0]["storage_key"]).read_bytes() == b"film"
    with transaction() as session:
        names = session.scalars(select(Artifact.name).where(Artifact.job_id == job.id)).all()
        ended = session.get_one(Job, job.id)
    assert names == ["video.mp4"]
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)


def test_an_end_that_comes_too_late_deletes_its_files(job: Job, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []

    def perform(attempt: Attempt) -> JobOutput:
        rows.append(stored(attempt, tmp_path))
        with transaction() as session:  # its lease has run out, and another has begun
            jobs.requeue(session, job.id, attempt.job.attempt, delay=timedelta(0))
            assert factories.claim(session, job.id) is not None
        return JobOutput({}, tuple(rows))

    run.run_job(str(job.id), perform, run.claim_queued(Stage.WRITING))

    assert not (storage().root / rows[0]["storage_key"]).exists()
    with transaction() as session:
        held = session.get_one(Job, job.id)
    assert (held.state, held.attempt) == (State.RUNNING, 2)


def test_an_attempt_over_its_disk_quota_fails(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENEMILL_WORK_MAX_BYTES", "1000000")
    monkeypatch.setenv("SCENEMILL_HEARTBEAT_INTERVAL", "0.05")
    settings.cache_clear()

    def perform(attempt: Attempt) -> JobOutput:
        (attempt.workdir / "take.wav").write_bytes(bytes(2_000_000))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            attempt.raise_if_stopped()
            time.sleep(0.01)
        return JobOutput({})

    run.run_job(str(job.id), perform, run.claim_queued(Stage.WRITING))

    with transaction() as session:
        ended = session.get_one(Job, job.id)
    assert ended.state == State.FAILED
    assert ended.error["code"] == "render-failed"
    assert "more than 0.001 GB" in ended.error["detail"]
    assert not list(settings().work_dir.iterdir())
