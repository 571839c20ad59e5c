"""The rules of webhook deliveries: which is due, when it is retried, which secrets sign it. Functions never commit."""

from __future__ import annotations

import base64
import random
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.errors import Conflict
from shared.models import Account, Delivery, DeliveryAttempt, DisabledAddress, WebhookSecret

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

# Delays until the next try, as the API promises; after the last one the delivery has failed.
RETRY_SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
JITTER = 0.1
HTTP_GONE = 410
SECRET_OVERLAP = timedelta(hours=24)
MAX_OLD_SECRETS = 5  # that still sign beside the newest one
MAX_KEPT_ATTEMPTS = 50  # of one delivery: the oldest are dropped where it is resent again and again
MAX_GIVEN_UP = 1000  # per claim, of deliveries that fail at once because their address answered 410
MAX_PER_ACCOUNT = 4  # per claim, so that one account's slow receiver does not delay other accounts

# The accounts with due deliveries, found with one index step per account.
_WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT account_id FROM webhook_deliveries WHERE state = 'pending' AND run_after <= now()
      ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.account_id FROM webhook_deliveries d
             WHERE d.state = 'pending' AND d.run_after <= now() AND d.account_id > waiting.account_id
             ORDER BY d.account_id LIMIT 1)
      FROM waiting WHERE account_id IS NOT NULL
)
"""
# Accounts with nothing in flight come first: otherwise a few accounts with slow receivers would take all the turns.
_DUE = text(f"""{_WAITING}, turns AS (
    SELECT account_id FROM waiting WHERE account_id IS NOT NULL AND account_id <> ALL(CAST(:busy AS uuid[]))
     ORDER BY account_id = ANY(CAST(:served AS uuid[])), random() LIMIT :bite
)
SELECT due.id FROM turns CROSS JOIN LATERAL (
    SELECT id FROM webhook_deliveries d
     WHERE d.account_id = turns.account_id AND d.state = 'pending' AND d.run_after <= now()
     ORDER BY d.run_after LIMIT :share FOR UPDATE SKIP LOCKED
) due LIMIT :bite
""")  # noqa: S608 (of what stands here)
_GONE = text(f"""{_WAITING}
SELECT due.id FROM waiting CROSS JOIN LATERAL (
    SELECT d.id FROM webhook_deliveries d JOIN webhook_disabled_addresses gone USING (account_id, url)
     WHERE d.account_id = waiting.account_id AND d.state = 'pending' AND d.run_after <= now()
     LIMIT :bite FOR UPDATE OF d SKIP LOCKED
) due
 WHERE EXISTS (SELECT FROM webhook_disabled_addresses a WHERE a.account_id = waiting.account_id) LIMIT :bite
""")  # noqa: S608 (of what stands here)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended: an HTTP status, or the error that prevented one."""

    status: int | None
    error: str | None
    seconds: float

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted it: only 2xx counts. Redirects are not followed, and fail."""
        return self.status is not None and 200 <= self.status < 300


def claim(
    session: Session, limit: int, *, lease: timedelta, in_flight: Mapping[uuid.UUID, int] | None = None
) -> list[Delivery]:
    """Claim due deliveries, a few per account; nobody else tries them until the lease ends.

    An account with `MAX_PER_ACCOUNT` deliveries in flight gets none; one with fewer comes after the others. Deliveries
    to an address that answered 410 fail here untried, at most `MAX_GIVEN_UP` per claim.
    """
    _give_up(session, list(session.scalars(_GONE, {"bite": MAX_GIVEN_UP})))
    served = dict(in_flight or {})
    busy = [account_id for account_id, number in served.items() if number >= MAX_PER_ACCOUNT]
    parameters = {"share": MAX_PER_ACCOUNT, "bite": limit, "busy": busy, "served": list(served)}
    ids = list(session.scalars(_DUE, parameters))
    if not ids:
        return []
    is_disabled = exists().where(
        DisabledAddress.account_id == Delivery.account_id, DisabledAddress.url == Delivery.url
    )
    return list(
        session.scalars(
            update(Delivery)
            .where(Delivery.id.in_(ids), ~is_disabled)
            # `run_after` is the lease: if this process dies, the delivery is due again by itself.
            .values(run_after=func.now() + lease, attempt=Delivery.attempt + 1)
            .returning(Delivery)
        )
    )


def settle(session: Session, delivery: Delivery, outcome: Outcome) -> str:
    """Record a try and return the delivery's state; a late result of an older try changes nothing else."""
    session.execute(
        delete(DeliveryAttempt).where(
            DeliveryAttempt.delivery_id == delivery.id,
            DeliveryAttempt.number <= delivery.attempt - MAX_KEPT_ATTEMPTS,
        )
    )
    session.add(
        DeliveryAttempt(
            account_id=delivery.account_id,
            delivery_id=delivery.id,
            number=delivery.attempt,
            status=outcome.status,
            error=outcome.error,
            seconds=outcome.seconds,
        )
    )
    state, delay = _next_state(delivery.attempt - delivery.resent_at_attempt, outcome)
    if outcome.status == HTTP_GONE:
        disable_address(session, delivery.account_id, delivery.url)
    session.execute(
        update(Delivery)
        # A late result of an older try must not overwrite the state of a newer one.
        .where(Delivery.id == delivery.id, Delivery.attempt == delivery.attempt)
        .values(
            state=state,
            run_after=func.now() + delay,
            finished_at=func.now() if state != "pending" else None,
        )
    )
    return state


def _next_state(tries: int, outcome: Outcome) -> tuple[str, timedelta]:
    if outcome.delivered:
        return "delivered", timedelta(0)
    if outcome.status == HTTP_GONE or tries > len(RETRY_SCHEDULE):
        return "failed", timedelta(0)
    return "pending", RETRY_SCHEDULE[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (jitter, not a secret)


def disable_address(session: Session, account_id: uuid.UUID, url: str) -> None:
    """Send nothing more to an address that answered 410. A batch of what waits for it fails now, the rest when it is due."""
    # Two deliveries may get their 410 at once.
    session.execute(upsert(DisabledAddress).values(account_id=account_id, url=url).on_conflict_do_nothing())
    waiting = (
        select(Delivery.id)
        .where(Delivery.account_id == account_id, Delivery.url == url, Delivery.state == "pending")
        .limit(MAX_GIVEN_UP)
        .with_for_update(skip_locked=True)
    )
    _give_up(session, session.scalars(waiting).all())


def _give_up(session: Session, ids: Sequence[uuid.UUID]) -> None:
    if ids:
        ended = {"state": "failed", "finished_at": func.now()}
        session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(ended))


def enable_address(session: Session, account_id: uuid.UUID, url: str) -> None:
    """Send to an address again."""
    row = session.get(DisabledAddress, (account_id, url))
    # Also back to an address that answered 410: whoever resends knows that it works again.
    if row is not None:
        session.delete(row)


def resend(session: Session, account_id: uuid.UUID, delivery_id: uuid.UUID) -> bool:
    """Send a delivery again at once, under its own id, with a new round of tries."""
    row = session.scalar(
        update(Delivery)
        .where(Delivery.account_id == account_id, Delivery.id == delivery_id)
        .values(state="pending", run_after=func.now(), finished_at=None, resent_at_attempt=Delivery.attempt)
        .returning(Delivery)
    )
    if row is not None:
        enable_address(session, account_id, row.url)
    return row is not None


def signing_secrets(session: Session, account_id: uuid.UUID) -> list[str]:
    """Return the secrets that sign now, newest first; create the first one if there is none."""
    signing = list(
        session.scalars(
            select(WebhookSecret.secret)
            .where(
                WebhookSecret.account_id == account_id,
                or_(WebhookSecret.retires_at.is_(None), WebhookSecret.retires_at > func.now()),
            )
            .order_by(WebhookSecret.created_at.desc(), WebhookSecret.id.desc())
        )
    )
    return signing or [rotate_secret(session, account_id)]


def rotate_secret(session: Session, account_id: uuid.UUID, *, overlap: timedelta = SECRET_OVERLAP) -> str:
    """Create a new secret and return it. The former one signs beside it for `overlap`, older ones until they retire.

    Raise Conflict where too many would sign: each adds a signature to every delivery.
    """
    # One at a time: of two rotations at once, the second must retire the secret that the first created.
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.account_id == account_id, WebhookSecret.retires_at.is_(None))
        .values(retires_at=func.now() + overlap)
    )
    former = select(func.count()).where(
        WebhookSecret.account_id == account_id, WebhookSecret.retires_at > func.now()
    )
    if session.scalars(former).one() > MAX_OLD_SECRETS:
        raise Conflict(
            f"{MAX_OLD_SECRETS} former secrets still sign. Wait until one retires, or rotate with an overlap of 0."
        )
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    session.add(WebhookSecret(account_id=account_id, secret=secret))
    session.flush()
    return secret
