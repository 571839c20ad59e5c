"""How often a job asks Postgres: what a job costs there is what bounds how many of them an installation can do."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text

from shared import db
from shared.db import transaction
from shared.dispatch import fairness, publishing
from shared.dispatch.fairness import Window
from shared.models import Job
from shared.settings import settings
from shared.states import Stage, State
from tasks import run
from tasks.run import JobOutput
from tasks.video import assembly_task, plan_task, segment_task
from tests import factories

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from shared.settings import Settings

pytestmark = pytest.mark.services

FOR_A_SHORT_JOB, FOR_A_JOB, FOR_A_SEGMENT, FOR_PLAN_AND_ASSEMBLY = 4, 6, 9, 26


@pytest.fixture
def unhurried(process: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A process that does nothing beside the work while it is counted: how often it does is a matter of time alone."""
    monkeypatch.setattr(publishing, "SHORT_ATTEMPT_SECONDS", 300)
    monkeypatch.setenv("SCENEMILL_LEASE_DURATION", "600")
    monkeypatch.setenv("SCENEMILL_HEARTBEAT_INTERVAL", "300")
    settings.cache_clear()
    return settings()


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the list to which every statement of this process is added, whichever thread asks.

    What is prepared is so once a connection, and not for a job.
    """
    asked: list[str] = []

    def note(*call: Any) -> None:
        if not call[2].startswith("PREPARE"):
            asked.append(call[2])

    event.listen(db.engine(), "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine(), "before_cursor_execute", note)


def posted(**columns: Any) -> Job:
    with transaction() as session:
        return factories.job(session, published_at=datetime.now(UTC), **columns)


def state_of(job_id: uuid.UUID) -> str:
    with transaction() as session:
        return session.scalars(select(Job.state).where(Job.id == job_id)).one()


def test_a_job_that_does_nothing_takes_six_statements_from_its_claim_to_its_end(unhurried: Settings) -> None:
    job = posted(kind="script")

    with counted() as asked:
        run.run_job(str(job.id), lambda _: JobOutput({}), run.claim_queued(Stage.WRITING))

    assert state_of(job.id) == State.SUCCEEDED
    assert len(asked) <= FOR_A_JOB, asked


def test_a_job_s_end_admits_the_next_one_in_the_same_transaction(unhurried: Settings) -> None:
    job = posted(kind="script")
    with transaction() as session:
        waits = factories.job(session, job.account_id, kind="script")

    with counted() as asked:
        run.run_job(str(job.id), lambda _: JobOutput({}), run.claim_queued(Stage.WRITING))

    with transaction() as session:
        assert session.get_one(Job, waits.id).published_at == session.get_one(Job, job.id).finished_at
    assert len(asked) == FOR_A_SHORT_JOB, asked


def test_a_job_s_end_does_not_wait_for_a_locked_account_window(
    unhurried: Settings,
) -> None:
    job = posted(kind="script")
    with transaction() as session:
        waits = factories.job(session, job.account_id, kind="script")

    with transaction() as session:
        fairness.admit(session, job.account_id, Window(unclaimed=0, running=0))
        published = threading.Thread(
            target=run.run_job, args=(str(job.id), lambda _: JobOutput({}), run.claim_queued(Stage.WRITING))
        )
        published.start()
        published.join(30)
        assert not published.is_alive()
        assert state_of(job.id) == State.SUCCEEDED
    assert publishing.flush(5)

    with transaction() as session:
        assert session.get_one(Job, waits.id).published_at is not None


def test_a_job_ends_even_if_the_next_one_cannot_be_admitted(unhurried: Settings) -> None:
    job = posted(kind="script")
    with transaction() as session:
        waits = factories.job(session, job.account_id, kind="script")
    refused = text(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
        CREATE TRIGGER refused BEFORE UPDATE OF published_at ON jobs
           FOR EACH ROW WHEN (NEW.id = '{waits.id}') EXECUTE FUNCTION refuse()
    """)
    with transaction() as session:
        session.execute(refused)
    try:
        run.run_job(str(job.id), lambda _: JobOutput({}), run.claim_queued(Stage.WRITING))
        assert publishing.flush(5)
    finally:
        with transaction() as session:
            session.execute(text("DROP TRIGGER refused ON jobs; DROP FUNCTION refuse()"))

    assert state_of(job.id) == State.SUCCEEDED
    assert state_of(waits.id) == State.QUEUED


def test_a_video_takes_few_statements_a_segment(unhurried: Settings) -> None:
    scenes = [{"duration": 0.2, "visual": {"type": "color", "colors": [f"#00000{digit}"]}} for digit in "123"]
    output = {"aspect": "16:9", "resolution": "360p", "fps": 24, "quality": "draft"}
    job = posted(spec={"kind": "video", "script": {"scenes": scenes}, "output": output})

    with counted() as asked:
        run.run_job(str(job.id), plan_task.perform, run.claim_queued(Stage.GATHERING))
        with transaction() as session:
            segments = factories.segments_of(session, job)  # one of those that are counted
        for segment in segments:
            segment_task.perform(str(segment.id))
        run.run_job(str(job.id), assembly_task.perform, run.claim_for_assembly)

    assert state_of(job.id) == State.SUCCEEDED
    assert len(asked) <= FOR_A_SEGMENT * len(segments) + FOR_PLAN_AND_ASSEMBLY, asked
