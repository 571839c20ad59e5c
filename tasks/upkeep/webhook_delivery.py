"""Delivers webhooks by the Standard Webhooks specification: many at a time, each bounded, none to private addresses.

A round does not wait for slow receivers: their threads record the outcome even after it. If the process ends first, the
deliveries are sent again after their lease, as after a crash.
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
ROUND_SECONDS = 15.0  # then the round ends and frees its slot
POLL_SECONDS = 1.0  # between two queries for due deliveries while some are in flight
LEASE = timedelta(seconds=60)
_LOCK = "webhook-delivery"
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")  # starts its threads when they are needed
_in_flight: dict[Future[None], UUID] = {}  # the account of each delivery in flight in this process


def deliver_due() -> None:
    """Send the deliveries that are due, until none is or the round is over. One round runs at a time in the installation."""
    with try_lock(_LOCK) as first:
        if first:
            _round(time.monotonic() + ROUND_SECONDS)


def _round(until: float) -> None:
    """Keep the threads busy. No more is claimed than starts at once, so that slow receivers delay no other delivery."""
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
    """Claim due deliveries with their accounts' signing secrets; none of an account that has its share in flight."""
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
    """POST a delivery once, signed with every valid secret, and return its outcome."""
    config = settings()
    claimed_at = delivery.run_after - LEASE  # Postgres's time: receivers refuse timestamps of a wrong clock
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
