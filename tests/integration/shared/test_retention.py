"""What retention deletes, on a real Postgres and in a real folder."""

from __future__ import annotations

import os
import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, text, update

from api.http import idempotency
from api.http.idempotency import StoredResponse
from api.security import logins
from shared import accounts
from shared.db import transaction
from shared.lifecycle import deliveries, retention
from shared.models import (
    Account,
    ApiKey,
    Artifact,
    Asset,
    AuditEvent,
    Batch,
    Delivery,
    DeliveryAttempt,
    DisabledAddress,
    IdempotencyKey,
    Job,
    Login,
    RefreshToken,
    StoredSegment,
    StoredSpeech,
    WebhookSecret,
)
from shared.settings import settings
from shared.states import State
from shared.storage.factory import storage
from tasks.upkeep import retention as rounds
from tasks.upkeep import sweep
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine
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


def test_expired_jobs_are_deleted_with_their_artifacts_and_unfinished_ones_stay(session: Session) -> None:
    old, unfinished = (factories.job(session, state=state) for state in (State.SUCCEEDED, State.RUNNING))
    expire(session, old, unfinished)
    artifact(session, old, "a/v.mp4")

    assert retention.delete_expired_jobs(session) == (1, ["a/v.mp4"])
    assert (there(session, old), there(session, unfinished)) == (False, True)


def test_a_finished_batch_is_deleted_with_its_last_job(session: Session) -> None:
    owner = factories.account(session)
    whole, half, unfinished = (batch(session, owner, finished=finished) for finished in (True, True, False))
    for one in (whole, half, unfinished):
        expire(session, factories.job(session, owner, state=State.SUCCEEDED, batch_id=one.id))
    factories.job(session, owner, state=State.SUCCEEDED, batch_id=half.id)

    retention.delete_expired_jobs(session)

    assert [there(session, one) for one in (whole, half, unfinished)] == [False, True, True]


def test_old_idempotency_keys_are_deleted(session: Session) -> None:
    session.execute(delete(IdempotencyKey))
    idempotency.store(session, factories.account(session), "k", "f" * 64, StoredResponse(202, {}))
    session.flush()

    assert [
        retention.delete_idempotency_keys(session, older_than=older_than)
        for older_than in (MINUTE, -MINUTE, -MINUTE)
    ] == [0, 1, 0]


def test_old_deliveries_are_deleted_with_their_tries_and_pending_ones_stay(session: Session) -> None:
    session.execute(delete(Delivery))
    owner = factories.account(session)
    for state in ("delivered", "failed"):
        delivery(session, owner, state, 2 * YEAR)
    older_than = {
        delivery(session, owner, "pending", 2 * YEAR),
        delivery(session, owner, "delivered", MINUTE),
    }

    assert retention.delete_deliveries(session, older_than=YEAR) == 2
    assert set(session.scalars(select(Delivery.id))) == older_than
    assert set(session.scalars(select(DeliveryAttempt.delivery_id))) == older_than


def test_old_audit_events_are_deleted(session: Session) -> None:
    session.execute(delete(AuditEvent))
    owner = factories.account(session)
    for years in (3, 2, 0):
        at = func.now() - years * YEAR
        session.add(AuditEvent(account_id=owner, at=at, action="jobs.submitted", subject=str(years)))
        session.flush()

    assert retention.delete_audit_events(session, older_than=YEAR) == 2
    assert list(session.scalars(select(AuditEvent.subject))) == ["0"]


def test_the_least_recently_used_segments_are_evicted_but_none_that_a_job_needs(session: Session) -> None:
    account_id = factories.account(session)
    for age, key in enumerate(("newest", "old", "needed", "oldest")):
        session.add(
            StoredSegment(
                account_id=account_id, key=key, storage_key=f"s/{key}", bytes=10, frames=1,
                used_at=func.now() - age * MINUTE,
            )
        )  # fmt: skip
    session.flush()
    session.execute(delete(StoredSegment).where(StoredSegment.account_id != account_id))
    factories.rendering_job(session, ("needed",), account_id)
    session.execute(
        update(StoredSegment).where(StoredSegment.key == "needed").values(used_at=func.now() - 2 * MINUTE)
    )

    assert retention.evict(session, StoredSegment, max_bytes=1000) == []
    assert sorted(retention.evict(session, StoredSegment, max_bytes=20)) == ["s/old", "s/oldest"]
    session.execute(delete(StoredSpeech))
    assert retention.evict(session, StoredSpeech, max_bytes=0) == []


def rotated(session: Session, account_id: uuid.UUID, *overlaps: timedelta) -> None:
    """Give the account a secret, and then another one for each overlap."""
    deliveries.rotate_secret(session, account_id)
    for overlap in overlaps:
        deliveries.rotate_secret(session, account_id, overlap=overlap)


def test_a_retired_webhook_secret_is_deleted(session: Session) -> None:
    session.execute(delete(WebhookSecret))
    owner, other = factories.account(session), factories.account(session)
    rotated(session, owner, -MINUTE, MINUTE, -MINUTE)
    rotated(session, other)
    signing = [deliveries.signing_secrets(session, each) for each in (owner, other)]

    assert retention.delete_retired_secrets(session) == 2
    assert [deliveries.signing_secrets(session, each) for each in (owner, other)] == signing
    assert session.scalar(select(func.count()).select_from(WebhookSecret)) == 3


def test_old_records_of_gone_addresses_are_deleted(session: Session) -> None:
    session.execute(delete(DisabledAddress))
    owner = factories.account(session)
    for name, age in (("old", 2 * YEAR), ("new", MINUTE)):
        session.add(DisabledAddress(account_id=owner, url=f"https://{name}.example/", at=func.now() - age))
    session.flush()

    assert retention.delete_disabled_addresses(session, older_than=YEAR) == 1
    assert list(session.scalars(select(DisabledAddress.url))) == ["https://new.example/"]


def log_in(session: Session, owner: uuid.UUID, key_id: str, *, renewed: int, ended: timedelta) -> Login:
    """Give a log-in that ended so long ago, with so many tokens."""
    family, _ = logins.begin(session, logins.Owner(owner, key_id=key_id), (), address="::1", ttl=YEAR)
    for number in range(renewed - 1):
        row = {"token_hash": uuid.uuid4().hex, "account_id": owner, "login_id": family.login_id}
        session.add(RefreshToken(**row, used_at=func.now() - number * MINUTE))
    login = session.get_one(Login, family.login_id)
    login.revoked_at = func.now() - ended
    session.flush()
    return login


def test_a_login_is_deleted_after_its_tokens_and_a_key_after_its_logins(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_CHILD_ROWS", 3)
    owner = factories.account(session)
    old, new = (accounts.create_key(session, owner, name, ())[0].id for name in ("old", "new"))
    log_in(session, owner, old, renewed=5, ended=YEAR)
    older_than = log_in(session, owner, new, renewed=2, ended=MINUTE)
    session.execute(update(ApiKey).where(ApiKey.id == old).values(revoked_at=func.now() - 2 * YEAR))

    def round_() -> tuple[int, int, int]:
        key = retention.delete_revoked_keys(session, older_than=YEAR)
        return key, retention.delete_logins(session), retention.delete_refresh_tokens(session)

    assert [round_() for _ in range(4)] == [(0, 0, 3), (0, 0, 2), (0, 1, 0), (1, 0, 0)]
    assert list(session.scalars(select(Login.id).where(Login.account_id == owner))) == [older_than.id]
    assert set(session.scalars(select(ApiKey.id).where(ApiKey.account_id == owner))) == {new}


def test_few_long_videos_are_deleted_per_batch(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_CHILD_ROWS", 5)
    long = [factories.rendering_job(session, tuple("abc")) for _ in range(3)]
    longer = factories.rendering_job(session, tuple("abcdefg"))
    for each in (*long, longer):
        each.state = State.CANCELED
    session.flush()
    expire(session, *long, longer)

    taken = [retention.delete_expired_jobs(session)[0] for _ in range(5)]

    assert taken == [1, 1, 1, 1, 0]


def test_concurrent_deletes_of_a_batch_s_last_jobs_delete_the_batch(process: Settings) -> None:
    with transaction() as session:
        owner = factories.account(session)
        both = batch(session, owner, finished=True)
        jobs = [factories.job(session, owner, state=State.FAILED, batch_id=both.id) for _ in range(2)]
    removed = threading.Event()

    def remove() -> None:
        with transaction() as session:
            retention.delete_job(session, owner, jobs[1].id)
        removed.set()

    other = threading.Thread(target=remove)
    with transaction() as session:
        retention.delete_job(session, owner, jobs[0].id)
        other.start()
        assert not removed.wait(0.2)
        assert there(session, both)
    other.join()

    with transaction() as session:
        assert not there(session, both)
        session.execute(delete(Account).where(Account.id == owner))


def test_one_failed_deletion_does_not_stop_the_others(
    process: Settings, database: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SCENEMILL_LOCK_TIMEOUT", "0.1")
    settings.cache_clear()
    with transaction() as session:
        owner = factories.account(session)
        session.add(AuditEvent(account_id=owner, at=func.now() - YEAR, action="jobs.submitted", subject=""))
        rotated(session, owner, -MINUTE, -MINUTE)

    with database.begin() as other:
        other.execute(text("LOCK TABLE audit_events"))
        hindered = rounds.purge(settings())
    free = rounds.purge(settings())

    assert (hindered["secrets_forgotten"], hindered["events_forgotten"]) == (2, 0)
    assert "purge_failed" in caplog.messages
    assert (free["secrets_forgotten"], free["events_forgotten"]) == (0, 1)
    with transaction() as session:
        session.execute(delete(Account).where(Account.id == owner))


def test_a_round_deletes_everything_expired_and_no_file_that_a_row_names(
    process: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    files = storage()
    for key in ("artifacts/old", "artifacts/kept", "assets/kept", "artifacts/orphan", "artifacts/young"):
        (tmp_path / "content").write_text(key)
        files.put(tmp_path / "content", key)
    for key in ("artifacts/old", "artifacts/kept", "assets/kept", "artifacts/orphan"):
        os.utime(files.locate(key), (0, 0))
    with transaction() as session:
        owner = factories.account(session)
        old = [factories.job(session, owner, state=State.SUCCEEDED) for _ in range(5)]
        older_than = factories.job(session, owner, state=State.SUCCEEDED)
        expire(session, *old)
        artifact(session, old[0], "artifacts/old")
        artifact(session, older_than, "artifacts/kept")
        session.add(
            Asset(
                id=uuid.uuid4(), account_id=owner, storage_key="assets/kept", sha256="0" * 64, bytes=1,
                media_type="image/png", facts={},
            )
        )  # fmt: skip

    sweep.purge()

    with transaction() as session:
        assert list(session.scalars(select(Job.id).where(Job.account_id == owner))) == [older_than.id]
        session.execute(delete(Account).where(Account.id == owner))
    names = ("artifacts/kept", "artifacts/young", "artifacts/old", "artifacts/orphan", "assets/kept")
    assert files.find_existing(names) == {"artifacts/kept", "artifacts/young", "assets/kept"}
