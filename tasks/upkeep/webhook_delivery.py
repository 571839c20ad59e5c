"""Sends webhooks by the Standard Webhooks specification: many at a time, each bounded, none to where it may not go.

A round ends without waiting for whoever takes long: their threads write down how it went, whatever the process does
meanwhile. Should it end first, what they sent is sent again after the lease, as with any crash.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TYPE_CHECKING

from standardwebhooks.webhooks import Webhook

from shared import metrics
from shared.advisory_locks import try_lock
from shared.db import transaction
from shared.errors import ServiceError
from shared.lifecycle import deliveries
from shared.lifecycle.deliveries import Outcome
from shared.settings import settings
from tasks.providers import guarded_http

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from uuid import UUID

    from shared.models import Delivery

log = logging.getLogger(__name__)

THREADS = 32
ROUND_SECONDS = 15.0  # after which a round ends, and its slot is free for others
POLL_SECONDS = 1.0  # between two looks at what is due, as long as receivers are waited for
LEASE = timedelta(seconds=60)
_LOCK = "webhook-delivery"
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")  # its threads start when they are needed
_in_flight: dict[Future[None], UUID] = {}  # in this process, by account


def deliver_due() -> None:
    """Send what is due, until nothing is or the round is over. One round runs at a time, whoever begins it."""
    with try_lock(_LOCK) as first:
        if first:
            _round(time.monotonic() + ROUND_SECONDS)


def _round(until: float) -> None:
    """Keep the threads at work. No more is taken than begins at once, so that who is waited for holds up nobody else."""
    while time.monotonic() < until:
        due = _claim(THREADS - len(_in_flight), Counter(_in_flight.values()))
        _in_flight.update(
            {_pool.submit(_send, delivery, keys): delivery.account_id for delivery, keys in due}
        )
        if not _in_flight:
            return
        ended, _ = wait(_in_flight, min(POLL_SECONDS, max(0.0, until - time.monotonic())), FIRST_COMPLETED)
        for each in ended:
            del _in_flight[each]
            each.result()


def _claim(free: int, waited_for: Counter[UUID]) -> list[tuple[Delivery, list[str]]]:
    """Take what is due, with the secrets that sign it; of an account that has its share at work already, nothing."""
    if not free:
        return []
    with transaction() as session:
        due = deliveries.claim(session, free, lease=LEASE, in_flight=waited_for)
        keys = {
            account_id: deliveries.signing_secrets(session, account_id)
            for account_id in {delivery.account_id for delivery in due}
        }
    return [(delivery, keys[delivery.account_id]) for delivery in due]


def _send(delivery: Delivery, keys: Sequence[str]) -> None:
    outcome = post_delivery(delivery, keys)
    with transaction() as session:
        state = deliveries.settle(session, delivery, outcome)
    metrics.deliveries.labels(outcome="good" if outcome.delivered else "bad").inc()
    log.info(
        "webhook_sent",
        extra={
            "delivery_id": str(delivery.id),
            "status": outcome.status,
            "error": outcome.error,
            "state": state,
        },
    )


def post_delivery(delivery: Delivery, keys: Sequence[str]) -> Outcome:
    """Send a delivery once, signed by every secret that is in force, and say how it went."""
    config = settings()
    claimed_at = delivery.run_after - LEASE  # by Postgres: receivers refuse what a wrong clock has stamped
    name = f"msg_{delivery.id.hex}"
    signatures = (Webhook(key).sign(name, claimed_at, delivery.body) for key in keys)
    headers = {
        "content-type": "application/json",
        "user-agent": "scenemill",
        "webhook-id": name,
        "webhook-timestamp": str(int(claimed_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    began = time.monotonic()
    try:
        status = guarded_http.post(
            delivery.url,
            delivery.body.encode(),
            headers,
            allow_private=config.allow_private_addresses,
            ca_file=config.ca_file,
        )
    except ServiceError as error:
        return Outcome(None, error.detail, time.monotonic() - began)
    return Outcome(status, None, time.monotonic() - began)
