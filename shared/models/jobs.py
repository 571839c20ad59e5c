"""Tables of jobs, batches, artifacts and idempotency keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base
from shared.states import State


class Batch(Base):
    """Jobs that were posted together."""

    __tablename__ = "batches"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    total: Mapped[int]
    succeeded: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    canceled: Mapped[int] = mapped_column(server_default="0")
    webhook: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]


class Job(Base):
    """A job and its task. `attempt` is the fencing token: a write that names an older one changes nothing."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[State] = mapped_column(server_default="queued")
    stage: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(server_default="0")
    attempt: Mapped[int] = mapped_column(server_default="0")
    max_attempts: Mapped[int]
    deaths: Mapped[int] = mapped_column(server_default="0")  # worker processes that died while they had it
    priority: Mapped[str] = mapped_column(String(16), server_default="normal")
    custom_id: Mapped[str | None] = mapped_column(String(64))
    template_id: Mapped[str | None] = mapped_column(String(64))  # the template of its script, at that version
    template_version: Mapped[int | None]
    spec: Mapped[dict[str, Any]]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    plan: Mapped[dict[str, Any] | None]  # what planning decided, for assembly
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    assembly_key: Mapped[str | None] = mapped_column(
        String(64)
    )  # the hash of everything that decides its artifacts
    request_id: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")  # goes up with each change that a client can see
    expires_in: Mapped[int | None]
    link_seconds: Mapped[int | None]  # how long its signed links are valid; None: it asks for none
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    turn: Mapped[datetime] = mapped_column(server_default=NOW)  # its creation time, moved by its priority
    published_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    worker: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("account_id", "id"),
        Index("ix_jobs_newest", "account_id", text("created_at DESC"), text("id DESC")),
        Index("ix_jobs_batch", "batch_id", "state", postgresql_where=text("batch_id IS NOT NULL")),
        Index(
            "ix_jobs_waiting",
            "account_id",
            "turn",
            "id",
            postgresql_where=text("state = 'queued' AND published_at IS NULL"),
        ),
        Index(
            "ix_jobs_published",
            "published_at",
            postgresql_where=text("state = 'queued' AND published_at IS NOT NULL"),
        ),
        Index(
            "ix_jobs_busy",
            "account_id",
            postgresql_where=text(
                "state IN ('running', 'canceling') OR (state = 'queued' AND published_at IS NOT NULL)"
            ),
        ),
        Index(
            "ix_jobs_assembling",
            "account_id",
            postgresql_where=text("state = 'running' AND stage = 'assembling' AND leased_until IS NULL"),
        ),
        Index("ix_jobs_due", "run_after", postgresql_where=text("state = 'queued'")),
        Index(
            "ix_jobs_unsuccessful",
            "account_id",
            "state",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=text("state IN ('failed', 'canceled')"),
        ),
        Index("ix_jobs_leased", "leased_until", postgresql_where=text("state IN ('running', 'canceling')")),
        Index(
            "ix_jobs_assembled",
            "account_id",
            "assembly_key",
            postgresql_where=text("state = 'succeeded' AND assembly_key IS NOT NULL"),
        ),
        Index("ix_jobs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index(
            "ix_jobs_quarantined",
            "finished_at",
            postgresql_where=text("state = 'failed' AND error ->> 'code' = 'worker-lost'"),
        ),
        Index("ix_jobs_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )


class Artifact(Base):
    """A file that a job made, inserted when the job ends."""

    __tablename__ = "artifacts"

    account_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    storage_key: Mapped[str]
    media_type: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration: Mapped[float | None]

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "job_id"], ["jobs.account_id", "jobs.id"], ondelete="CASCADE"),
    )


class IdempotencyKey(Base):
    """The first answer to a POST, returned again to a request with the same Idempotency-Key."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[dict[str, Any]]
    text: Mapped[str | None]  # the body as it was sent: jsonb does not keep the order of members
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)
