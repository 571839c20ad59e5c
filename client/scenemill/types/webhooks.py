"""Webhook deliveries, and the secret that signs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from scenemill.types.value import Value


@dataclass(frozen=True)
class DeliveryAttempt(Value):
    """One attempt to deliver: the status that was answered, or why none was."""

    at: datetime | None = None
    status: int | None = None
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Delivery(Value):
    """A webhook message with its attempts. It is `disabled` where its URL answered 410 and is called no more."""

    delivery_id: str
    webhook_id: str = ""
    url: str = ""
    event: str = ""
    task_id: str | None = None
    batch_id: str | None = None
    status: Literal["pending", "delivered", "failed"] = "pending"
    created_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    disabled: bool = False
    attempts: tuple[DeliveryAttempt, ...] = ()
    body: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the delivery's id."""
        return self.delivery_id


@dataclass(frozen=True)
class WebhookSecret(Value):
    """The secret that signs messages, None where there is none yet, and how many secrets sign at the moment."""

    secret: str | None = field(default=None, repr=False)
    signing: int = 0
