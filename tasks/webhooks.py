"""Sends webhooks by the Standard Webhooks specification: many at a time, each bounded, none to where it may not go."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from standardwebhooks.webhooks import Webhook

from shared import deliveries, metrics, outside
from shared.db import alone, transaction
from shared.deliveries import Outcome
from shared.errors import ServiceError
from shared.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.models import Delivery

log = logging.getLogger(__name__)

BITE = 64
THREADS = 16
ROUND_SECONDS = 15.0  # after which a round takes no more, and its slot is free for others
LEASE = timedelta(seconds=60)
_LOCK = 7_310_519_042_018


def deliver() -> None:
    """Send what is due, until nothing is or the round is over. One round runs at a time, whoever begins it."""
    began = time.monotonic()
    with alone(_LOCK) as first:
        while first and time.monotonic() - began < ROUND_SECONDS and _round():
            continue


def _round() -> int:
    with transaction() as session:
        due = deliveries.claim(session, BITE, lease=LEASE)
        keys = {
            account_id: deliveries.signing_secrets(session, account_id)
            for account_id in {delivery.account_id for delivery in due}
        }
    if due:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
            list(pool.map(lambda delivery: _send(delivery, keys[delivery.account_id]), due))
    return len(due)


def _send(delivery: Delivery, keys: Sequence[str]) -> None:
    outcome = post(delivery, keys)
    with transaction() as session:
        state = deliveries.settle(session, delivery, outcome)
    metrics.deliveries.labels(outcome="good" if outcome.good else "bad").inc()
    log.info(
        "webhook_sent",
        extra={
            "delivery_id": str(delivery.id),
            "status": outcome.status,
            "error": outcome.error,
            "state": state,
        },
    )


def post(delivery: Delivery, keys: Sequence[str]) -> Outcome:
    """Send a delivery once, signed by every secret that is in force, and say how it went."""
    config = settings()
    claimed_at = delivery.run_after - LEASE  # by Postgres: receivers refuse what a wrong clock has stamped
    name = f"msg_{delivery.id.hex}"
    signatures = (Webhook(key).sign(name, claimed_at, delivery.body) for key in keys)
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(claimed_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    began = time.monotonic()
    try:
        status = outside.post(
            delivery.url,
            delivery.body.encode(),
            headers,
            allow_private=config.allow_private_addresses,
            ca_file=config.ca_file,
        )
    except ServiceError as error:
        return Outcome(None, error.detail, time.monotonic() - began)
    return Outcome(status, None, time.monotonic() - began)
