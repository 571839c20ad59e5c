"""Webhook deliveries, and the secret that signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scenemill.calls.reading import identity, one, pages
from scenemill.core import requests
from scenemill.types.webhooks import Delivery, WebhookSecret

if TYPE_CHECKING:
    from scenemill.calls.reading import Reference
    from scenemill.core.steps import Flow, Items

SECRET = "/v1/webhook-secret"  # noqa: S105 (a path)


def deliveries(
    *,
    status: Literal["pending", "delivered", "failed"] | None = None,
    event: str | None = None,
    task: Reference | None = None,
    batch: Reference | None = None,
    limit: int | None = None,
) -> Items[Delivery]:
    """Give what was sent to webhooks, newest first, each with its attempts."""
    yield from pages(
        Delivery,
        "/v1/webhook-deliveries",
        limit,
        status=status,
        event=event,
        task_id=identity(task) if task is not None else None,
        batch_id=identity(batch) if batch is not None else None,
    )


def delivery(delivery: Reference) -> Flow[Delivery]:
    """Return a delivery with its attempts and its body."""
    return (yield from one(Delivery, requests.get(_path(delivery))))


def resend(delivery: Reference) -> Flow[Delivery]:
    """Send a delivery again, under the same `webhook-id`."""
    return (yield from one(Delivery, requests.post(_path(delivery) + "/resend")))


def secret() -> Flow[WebhookSecret]:
    """Return the secret that signs messages. `scenemill.webhooks.verify` takes it."""
    return (yield from one(WebhookSecret, requests.get(SECRET)))


def rotate_secret(*, overlap: int | None = None, idempotency_key: str | None = None) -> Flow[WebhookSecret]:
    """Make a new secret and return it. For `overlap` seconds (a day, if not given) the former one signs as well."""
    body = requests.encoded(requests.given(overlap=overlap))
    return (yield from one(WebhookSecret, requests.create(SECRET, body, idempotency_key)))


def _path(delivery: Reference) -> str:
    return requests.path("/v1/webhook-deliveries/{}", identity(delivery))
