"""Webhooks from a job's end to a real receiver, which verifies them with the specification's own package."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.db import transaction
from shared.errors import RenderFailed
from shared.lifecycle import cancellation, deliveries, jobs, listing
from shared.models import Batch, Delivery, DeliveryAttempt, Job
from shared.states import State
from tasks.upkeep import webhook_delivery
from tests import factories

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from shared.settings import Settings

pytestmark = pytest.mark.services

LEASE = timedelta(seconds=30)
WEBHOOK_SECRET = "whsec_" + "A" * 32


class Receiver:
    """A web server that keeps what it is sent and answers each request by the next of its statuses."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.seen: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.meanwhile()
                receiver.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


def hook(url: str, *events: str) -> dict[str, Any]:
    return {
        "kind": "video",
        "webhook": {"url": url, "events": list(events) or ["task.succeeded", "task.failed"]},
    }


def ended(session: Session, spec: dict[str, Any], account_id: uuid.UUID | None = None, **columns: Any) -> Job:
    """A job that is claimed and then succeeds."""
    job = factories.job(session, account_id, spec=spec, **columns)
    claimed = factories.claim(session, job.id, lease=LEASE)
    assert claimed is not None
    assert jobs.succeed(session, claimed, {})
    return job


def delivery_of(job: Job) -> Delivery:
    with transaction() as session:
        return session.scalars(select(Delivery).where(Delivery.subject == str(job.id))).one()


def attempts_of(session: Session, job: Job) -> list[DeliveryAttempt]:
    delivery = delivery_of(job)
    return listing.list_delivery_attempts(session, [delivery.id])[delivery.id]


def now_due(job: Job) -> None:
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.subject == str(job.id)).values(run_after=func.now()))


def test_an_end_sends_one_signed_complete_webhook(process: Settings, receiver: Receiver) -> None:
    with transaction() as session:
        job = ended(session, hook(receiver.url), meta={"a": "b"})

    webhook_delivery.deliver_due()
    webhook_delivery.deliver_due()

    (request,) = receiver.seen
    headers, body = request
    with transaction() as session:
        (secret,) = deliveries.signing_secrets(session, job.account_id)
    told = Webhook(secret).verify(body, headers)
    assert told["type"] == "task.succeeded"
    assert told["data"]["task_id"] == str(job.id)
    assert told["data"]["metadata"] == {"a": "b"}
    assert headers["user-agent"] == "scenemill"  # firewalls turn away who has no name
    assert delivery_of(job).state == "delivered"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


def test_no_transaction_is_open_while_a_receiver_is_slow(process: Settings, receiver: Receiver) -> None:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
    open_: list[int] = []

    def look() -> None:
        with transaction() as session:
            open_.append(session.scalar(query) or 0)

    receiver.meanwhile = look
    with transaction() as session:
        ended(session, hook(receiver.url))

    webhook_delivery.deliver_due()

    assert open_ == [0]


def test_one_delivery_round_runs_at_a_time(process: Settings, receiver: Receiver) -> None:
    answered: list[int] = []

    def begin_another() -> None:
        receiver.meanwhile = lambda: None
        with transaction() as session:
            ended(session, hook(receiver.url))
        webhook_delivery.deliver_due()  # on another connection, as another worker does
        answered.append(len(receiver.seen))

    receiver.meanwhile = begin_another
    with transaction() as session:
        ended(session, hook(receiver.url))

    webhook_delivery.deliver_due()

    assert answered == [0]
    assert len(receiver.seen) == 2  # the first round went on with what had come meanwhile


def test_slow_receivers_of_one_account_delay_no_other_account(process: Settings, receiver: Receiver) -> None:
    told = threading.Event()
    slow = Receiver()
    slow.meanwhile = lambda: told.wait(10)
    with transaction() as session:
        hog, other = factories.account(session), factories.account(session)
        for _ in range(2 * deliveries.MAX_PER_ACCOUNT):
            ended(session, hook(slow.url), hog)
        for _ in range(2 * deliveries.MAX_PER_ACCOUNT + 1):
            ended(session, hook(receiver.url), other)
    receiver.meanwhile = lambda: told.set() if len(receiver.seen) == 2 * deliveries.MAX_PER_ACCOUNT else None
    began = time.monotonic()

    webhook_delivery.deliver_due()

    slow.server.shutdown()
    slow.server.server_close()
    assert told.is_set()
    assert time.monotonic() - began < 8
    assert len(slow.seen) == 2 * deliveries.MAX_PER_ACCOUNT


def test_a_round_ends_without_slow_receivers_and_the_next_one_runs_beside_them(
    process: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    slow = Receiver()
    slow.meanwhile = lambda: told.wait(10)
    with transaction() as session:
        waited_for = ended(session, hook(slow.url))
    monkeypatch.setattr(webhook_delivery, "ROUND_SECONDS", 0.2)

    webhook_delivery.deliver_due()
    with transaction() as session:
        other = ended(session, hook(receiver.url))
    until = time.monotonic() + 8
    while delivery_of(other).state == "pending" and time.monotonic() < until:  # a busy machine needs several
        webhook_delivery.deliver_due()
    states = [delivery_of(job).state for job in (waited_for, other)]
    told.set()
    wait(list(webhook_delivery._in_flight), 10)  # noqa: SLF001 (nothing else knows when it is over)
    webhook_delivery.deliver_due()
    slow.server.shutdown()
    slow.server.server_close()

    assert states == ["pending", "delivered"]
    assert delivery_of(waited_for).state == "delivered"
    assert not webhook_delivery._in_flight  # noqa: SLF001 (it does not grow with the rounds)


def test_a_delivery_is_stamped_with_the_time_of_its_claim_by_postgres(
    process: Settings, receiver: Receiver
) -> None:
    at = datetime(2001, 2, 3, tzinfo=UTC)
    one = Delivery(
        id=factories.uuid.uuid4(), url=receiver.url, body="{}", run_after=at + webhook_delivery.LEASE
    )

    assert webhook_delivery.post_delivery(one, [WEBHOOK_SECRET]).delivered

    ((headers, _),) = receiver.seen
    assert headers["webhook-timestamp"] == str(int(at.timestamp()))


def test_only_subscribed_events_are_sent(process: Settings, receiver: Receiver) -> None:
    with transaction() as session:
        ended(session, hook(receiver.url, "task.failed"))
        ended(session, {"kind": "video"})
        failing = factories.job(session, spec=hook(receiver.url, "task.failed"))
        factories.claim(session, failing.id, lease=LEASE)
        jobs.fail(session, failing.id, 1, RenderFailed("No picture."))

    webhook_delivery.deliver_due()

    (told,) = [json.loads(body) for _, body in receiver.seen]
    assert told["data"]["task_id"] == str(failing.id)
    assert told["data"]["error"]["code"] == "render-failed"


@pytest.mark.parametrize("status", [500, 302, 404])
def test_any_status_but_2xx_is_retried_under_the_same_id(
    process: Settings, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    with transaction() as session:
        job = ended(session, hook(receiver.url))

    webhook_delivery.deliver_due()
    waiting = delivery_of(job)
    webhook_delivery.deliver_due()
    assert len(receiver.seen) == 1  # it is not due yet
    now_due(job)
    webhook_delivery.deliver_due()

    first, second = receiver.seen
    assert (waiting.state, waiting.attempt) == ("pending", 1)
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    assert delivery_of(job).state == "delivered"


def test_a_delivery_fails_after_its_last_try(process: Settings, receiver: Receiver) -> None:
    receiver.statuses = [500] * 10
    with transaction() as session:
        job = ended(session, hook(receiver.url))

    for _ in range(12):
        now_due(job)
        webhook_delivery.deliver_due()

    assert len(receiver.seen) == 10  # at once, and nine times after
    assert delivery_of(job).state == "failed"
    with transaction() as session:
        tries = attempts_of(session, job)
    assert [one.status for one in tries] == [500] * 10


def test_only_the_last_attempts_of_a_delivery_are_kept(
    process: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MAX_KEPT_ATTEMPTS", 3)
    with transaction() as session:
        job = ended(session, hook(receiver.url))

    for _ in range(5):
        webhook_delivery.deliver_due()
        with transaction() as session:
            assert deliveries.resend(session, job.account_id, delivery_of(job).id)

    assert len(receiver.seen) == 5
    with transaction() as session:
        tries = attempts_of(session, job)
    assert [one.number for one in tries] == [3, 4, 5]


def test_an_address_that_answered_410_gets_nothing_until_a_resend(
    process: Settings, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    with transaction() as session:
        job = ended(session, hook(receiver.url))
        other = ended(session, hook(receiver.url), job.account_id)
        session.execute(
            update(Delivery).where(Delivery.subject == str(other.id)).values(run_after=func.now() + LEASE)
        )

    webhook_delivery.deliver_due()
    assert [delivery_of(one).state for one in (job, other)] == ["failed", "failed"]

    with transaction() as session:
        later = ended(session, hook(receiver.url), job.account_id)
    webhook_delivery.deliver_due()
    assert delivery_of(later).state == "failed"
    assert len(receiver.seen) == 1

    with transaction() as session:
        assert not deliveries.resend(session, factories.account(session), delivery_of(job).id)
        assert deliveries.resend(session, job.account_id, delivery_of(job).id)
    webhook_delivery.deliver_due()
    assert delivery_of(job).state == "delivered"


def test_accounts_without_deliveries_in_flight_come_first(session: Session) -> None:
    session.execute(update(Delivery).values(state="delivered"))
    accounts = [factories.account(session) for _ in range(6)]
    for account_id in accounts:
        for _ in range(2):
            ended(session, hook("https://example.com/"), account_id)

    for quiet in accounts:
        under_way = dict.fromkeys(set(accounts) - {quiet}, 1)
        with session.begin_nested() as undone:
            (told,) = deliveries.claim(session, 1, lease=LEASE, in_flight=under_way)
            assert told.account_id == quiet
            undone.rollback()


def test_deliveries_to_an_address_that_is_gone_end_in_batches_without_a_try(
    process: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MAX_GIVEN_UP", 2)
    with transaction() as session:
        owner = factories.account(session)
        deliveries.disable_address(session, owner, receiver.url)
        waiting = [ended(session, hook(receiver.url), owner) for _ in range(5)]

    def failed() -> int:
        webhook_delivery.deliver_due()
        return sum(delivery_of(each).state == "failed" for each in waiting)

    assert [failed() for _ in range(4)] == [2, 4, 5, 5]
    assert receiver.seen == []


def test_a_rotated_secret_signs_beside_the_new_one_until_the_overlap_ends(
    process: Settings, receiver: Receiver
) -> None:
    with transaction() as session:
        account_id = factories.account(session)
        (old,) = deliveries.signing_secrets(session, account_id)
    with transaction() as session:
        new = deliveries.rotate_secret(session, account_id)
        ended(session, hook(receiver.url), account_id)

    webhook_delivery.deliver_due()

    headers, body = receiver.seen[0]
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers)["type"] == "task.succeeded"
    with transaction() as session:
        deliveries.rotate_secret(session, account_id, overlap=timedelta(0))
    with transaction() as session:
        assert old in deliveries.signing_secrets(session, account_id)  # retires by its own overlap
        assert new not in deliveries.signing_secrets(session, account_id)


def test_a_private_address_is_refused_at_the_connection(
    process: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = process.model_copy(update={"allow_private_addresses": False})
    monkeypatch.setattr(webhook_delivery, "settings", lambda: closed)
    with transaction() as session:
        job = ended(session, hook(receiver.url.replace("http://127.0.0.1", "https://127.0.0.1")))

    webhook_delivery.deliver_due()

    assert receiver.seen == []
    assert delivery_of(job).state == "pending"


def test_a_batch_webhook_is_sent_when_its_last_job_ends(process: Settings, receiver: Receiver) -> None:
    with transaction() as session:
        account_id = factories.account(session)
        batch = Batch(
            id=factories.uuid.uuid4(), account_id=account_id, total=3, webhook={"url": receiver.url}
        )
        session.add(batch)
        session.flush()
        ended(session, {"kind": "video"}, account_id, batch_id=batch.id)
        canceled = factories.job(session, account_id, batch_id=batch.id)
        failing = factories.job(session, account_id, batch_id=batch.id)
        cancellation.cancel(session, account_id, canceled.id)
        factories.claim(session, failing.id, lease=LEASE)
        assert session.scalar(select(Batch.finished_at).where(Batch.id == batch.id)) is None
        jobs.fail(session, failing.id, 1, RenderFailed("No."))

    webhook_delivery.deliver_due()
    with transaction() as session:
        jobs.retry(session, account_id, failing.id, attempts=1)
        again = session.scalars(select(Batch).where(Batch.id == batch.id)).one()

    (told,) = [json.loads(body) for _, body in receiver.seen]
    assert told["type"] == "batch.finished"
    assert told["data"]["counts"] == {"succeeded": 1, "failed": 1, "canceled": 1}
    assert (again.failed, again.finished_at) == (0, None)


def test_a_stale_attempt_s_end_sends_no_webhook(process: Settings, receiver: Receiver) -> None:
    with transaction() as session:
        job = factories.job(session, spec=hook(receiver.url), state=State.RUNNING, attempt=2)
        assert not jobs.fail(session, job.id, 1, RenderFailed("late"))

    webhook_delivery.deliver_due()

    assert receiver.seen == []
