"""What is thrown away when its time is over, on a real Postgres and in a real folder."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, update

from shared import idempotency, retention
from shared.db import transaction
from shared.idempotency import Answer
from shared.models import (
    Account,
    Artifact,
    Asset,
    AuditEvent,
    Batch,
    Delivery,
    DeliveryAttempt,
    IdempotencyKey,
    Job,
)
from shared.states import State
from shared.storage import storage
from tasks import upkeep
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from shared.settings import Settings

pytestmark = pytest.mark.services

MINUTE, YEAR = timedelta(minutes=1), timedelta(days=365)


def artifact(session: Session, job: Job, key: str) -> None:
    session.add(
        Artifact(
            account_id=job.account_id, job_id=job.id, name="video.mp4", position=0, storage_key=key,
            media_type="video/mp4", bytes=1, sha256="0" * 64,
        )
    )  # fmt: skip
    session.flush()


def expire(session: Session, *jobs: Job) -> None:
    ids = [each.id for each in jobs]
    session.execute(update(Job).where(Job.id.in_(ids)).values(expires_at=func.now() - MINUTE))


def batch(session: Session, account_id: uuid.UUID, *, finished: bool) -> Batch:
    row = Batch(id=uuid.uuid4(), account_id=account_id, total=2, finished_at=func.now() if finished else None)
    session.add(row)
    session.flush()
    return row


def there(session: Session, row: Job | Batch) -> bool:
    return session.scalar(select(type(row).id).where(type(row).id == row.id)) is not None


def delivery(session: Session, account_id: uuid.UUID, state: str, age: timedelta) -> uuid.UUID:
    row = Delivery(
        id=uuid.uuid4(), account_id=account_id, url="https://example.com/", event="task.succeeded", subject="",
        body="{}", state=state, finished_at=None if state == "pending" else func.now() - age,
        created_at=func.now() - age,
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add(DeliveryAttempt(account_id=account_id, delivery_id=row.id, number=1, seconds=0.1))
    session.flush()
    return row.id


def test_expired_jobs_go_with_their_artifacts_and_unfinished_ones_stay(session: Session) -> None:
    old, unfinished = (factories.job(session, state=state) for state in (State.SUCCEEDED, State.RUNNING))
    expire(session, old, unfinished)
    artifact(session, old, "a/v.mp4")

    assert retention.expired(session) == (1, ["a/v.mp4"])
    assert (there(session, old), there(session, unfinished)) == (False, True)


def test_a_finished_batch_goes_with_the_last_of_its_jobs(session: Session) -> None:
    owner = factories.account(session)
    whole, half, unfinished = (batch(session, owner, finished=finished) for finished in (True, True, False))
    for one in (whole, half, unfinished):
        expire(session, factories.job(session, owner, state=State.SUCCEEDED, batch_id=one.id))
    factories.job(session, owner, state=State.SUCCEEDED, batch_id=half.id)

    retention.expired(session)

    assert [there(session, one) for one in (whole, half, unfinished)] == [False, True, True]


def test_old_idempotency_keys_are_forgotten(session: Session) -> None:
    session.execute(delete(IdempotencyKey))
    idempotency.remember(session, factories.account(session), "k", "f" * 64, Answer(202, {}))
    session.flush()

    assert [retention.keys(session, kept=kept) for kept in (MINUTE, -MINUTE, -MINUTE)] == [0, 1, 0]


def test_webhooks_that_ended_long_ago_go_with_their_tries_and_waiting_ones_stay(session: Session) -> None:
    session.execute(delete(Delivery))
    owner = factories.account(session)
    for state in ("delivered", "failed"):
        delivery(session, owner, state, 2 * YEAR)
    kept = {delivery(session, owner, "pending", 2 * YEAR), delivery(session, owner, "delivered", MINUTE)}

    assert retention.deliveries(session, kept=YEAR) == 2
    assert set(session.scalars(select(Delivery.id))) == kept
    assert set(session.scalars(select(DeliveryAttempt.delivery_id))) == kept


def test_audit_events_of_long_ago_are_forgotten(session: Session) -> None:
    session.execute(delete(AuditEvent))
    owner = factories.account(session)
    for years in (3, 2, 0):
        at = func.now() - years * YEAR
        session.add(AuditEvent(account_id=owner, at=at, action="jobs.submitted", subject=str(years)))
        session.flush()

    assert retention.events(session, kept=YEAR) == 2
    assert list(session.scalars(select(AuditEvent.subject))) == ["0"]


def test_a_round_throws_all_away_that_is_past_its_time_and_no_file_that_a_row_names(
    process: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BITE", 2)
    files = storage()
    for key in ("artifacts/old", "artifacts/kept", "assets/kept", "artifacts/orphan", "artifacts/young"):
        (tmp_path / "content").write_text(key)
        files.put(tmp_path / "content", key)
    for key in ("artifacts/old", "artifacts/kept", "assets/kept", "artifacts/orphan"):
        os.utime(files.locate(key), (0, 0))
    with transaction() as session:
        owner = factories.account(session)
        old = [factories.job(session, owner, state=State.SUCCEEDED) for _ in range(5)]
        kept = factories.job(session, owner, state=State.SUCCEEDED)
        expire(session, *old)
        artifact(session, old[0], "artifacts/old")
        artifact(session, kept, "artifacts/kept")
        session.add(
            Asset(
                id=uuid.uuid4(), account_id=owner, storage_key="assets/kept", sha256="0" * 64, bytes=1,
                media_type="image/png", facts={},
            )
        )  # fmt: skip

    upkeep.tidy()

    with transaction() as session:
        assert list(session.scalars(select(Job.id).where(Job.account_id == owner))) == [kept.id]
        session.execute(delete(Account).where(Account.id == owner))
    names = ("artifacts/kept", "artifacts/young", "artifacts/old", "artifacts/orphan", "assets/kept")
    assert files.present(names) == {"artifacts/kept", "artifacts/young", "assets/kept"}
