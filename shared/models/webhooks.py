"""Tables of webhooks: signing secrets, deliveries, their tries, and addresses that are gone."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base


class WebhookSecret(Base):
    """A secret that signs an account's webhooks. The newest has no end; a former one signs until `retires_at`."""

    __tablename__ = "webhook_secrets"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    retires_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_webhook_secrets_retiring", "retires_at", postgresql_where=text("retires_at IS NOT NULL")),
    )


class Delivery(Base):
    """A webhook to send: one id and one body, however often it is tried. `run_after` is also the lease of a try."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    url: Mapped[str]
    event: Mapped[str]
    subject: Mapped[str]  # the id of its task or batch, which may be deleted meanwhile
    body: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), server_default="pending")
    attempt: Mapped[int] = mapped_column(server_default="0")
    resent_at_attempt: Mapped[int] = mapped_column(server_default="0")
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_webhook_deliveries_newest", "account_id", text("created_at DESC"), text("id DESC")),
        Index(
            "ix_webhook_deliveries_due", "account_id", "run_after", postgresql_where=text("state = 'pending'")
        ),
        Index("ix_webhook_deliveries_ended", "finished_at", postgresql_where=text("state <> 'pending'")),
        Index("ix_webhook_deliveries_subject", "account_id", "subject"),
        Index(
            "ix_webhook_deliveries_failed",
            "account_id",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=text("state = 'failed'"),
        ),
        Index(
            "ix_webhook_deliveries_rare",
            "account_id",
            "event",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=text("event <> 'task.succeeded'"),
        ),
    )


class DeliveryAttempt(Base):
    """One try of a delivery."""

    __tablename__ = "webhook_attempts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    delivery_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True
    )
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    status: Mapped[int | None]
    error: Mapped[str | None]
    seconds: Mapped[float]


class DisabledAddress(Base):
    """An address that answered 410 and gets nothing more."""

    __tablename__ = "webhook_disabled_addresses"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    url: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)
