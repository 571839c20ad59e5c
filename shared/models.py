"""The tables: columns and constraints. No query and no rule lives here.

Every row belongs to an account, and every query of another module names it or reached the row by a worker's claim.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.states import SegmentState, State


class Base(DeclarativeBase):
    """What all tables share: constraint names that migrations can rely on, and types of one kind."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        datetime: DateTime(timezone=True),
        int: BigInteger,
        float: Double,
        str: Text,
        State: String(16),
        SegmentState: String(16),
    }


NOW = text("now()")


class Account(Base):
    """Whom jobs belong to."""

    __tablename__ = "accounts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    budget: Mapped[float | None]  # that a calendar month may cost; None: no limit
    weight: Mapped[int] = mapped_column(
        server_default="1"
    )  # how many others it counts for when work is handed out
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]  # from then on nothing of it opens anything


class ApiKey(Base):
    """A key to the API. Only a hash of the secret is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)  # the public part of the key
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    secret_hash: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    revoked_at: Mapped[datetime | None]


class User(Base):
    """Who logs in with a password. Only its Argon2id hash is kept."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    username: Mapped[str] = mapped_column(unique=True)  # in small letters: no two differ by their case alone
    password_hash: Mapped[str]
    one_time_until: Mapped[datetime | None]  # until then the password is good for one log-in, to set another
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]


class Login(Base):
    """A log-in of a user or by a key: the family of tokens that descend from it. They end with it."""

    __tablename__ = "logins"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    scopes: Mapped[list[str]]
    address: Mapped[str]  # where it came from
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("num_nonnulls(user_id, key_id) = 1", name="one_owner"),
        Index("ix_logins_user", "user_id", "address", postgresql_where=text("user_id IS NOT NULL")),
        Index("ix_logins_key", "key_id", postgresql_where=text("key_id IS NOT NULL")),
        Index("ix_logins_expires_at", "expires_at"),
    )


class RefreshToken(Base):
    """A token that is changed for the next one, once. It stays when it is used: a second use betrays a thief."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    login_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime | None]


class Guess(Base):
    """How much somebody has guessed, as the moment at which that is forgotten. The subject is a hash.

    No account's: what is guessed at need not exist.
    """

    __tablename__ = "guesses"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    forgotten_at: Mapped[datetime] = mapped_column(index=True)


class Usage(Base):
    """The ledger: what an attempt used of something that costs, and what it cost then. Rows are only added."""

    __tablename__ = "usage"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None]  # kept when the job is deleted: what was used stays used
    attempt: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(32))
    amount: Mapped[float]
    cost: Mapped[float]
    at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_usage_month", "account_id", "at"), Index("ix_usage_job", "job_id"))


class Batch(Base):
    """Jobs that came together."""

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
    """A job and its run, the task. `attempt` is the fencing token: a write that names an older one changes nothing."""

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
    deaths: Mapped[int] = mapped_column(server_default="0")  # of pool processes that performed it
    priority: Mapped[str] = mapped_column(String(16), server_default="normal")
    custom_id: Mapped[str | None] = mapped_column(String(64))
    template_id: Mapped[str | None] = mapped_column(
        String(64)
    )  # which its script was made by, at that version
    template_version: Mapped[int | None]
    spec: Mapped[dict[str, Any]]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    plan: Mapped[dict[str, Any] | None]  # what the planning attempt found out, for assembly
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    assembly_key: Mapped[str | None] = mapped_column(String(64))  # the hash of all that decides its artifacts
    request_id: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")  # goes up with each change a client can see
    expires_in: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    turn: Mapped[datetime] = mapped_column(server_default=NOW)  # when it was made, moved by its priority
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


class Template(Base):
    """One version of a form that scripts are made by. `body` is what was put, its members in their order."""

    __tablename__ = "templates"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    # By code points, as Python sorts: the templates that come along are listed between.
    template_id: Mapped[str] = mapped_column(String(64, collation="C"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]  # a number is not given twice


class Segment(Base):
    """A piece of one job's picture, with a lease and a fencing token of its own."""

    __tablename__ = "segments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID]
    index: Mapped[int]
    key: Mapped[str] = mapped_column(String(64))
    state: Mapped[SegmentState] = mapped_column(server_default="queued")
    cached: Mapped[bool] = mapped_column(server_default=text("false"))
    frames: Mapped[int]
    frames_done: Mapped[int] = mapped_column(server_default="0")
    scene_ids: Mapped[list[str]]
    spec: Mapped[dict[str, Any]]
    attempt: Mapped[int] = mapped_column(server_default="0")  # the fencing token
    charged: Mapped[int] = mapped_column(server_default="0")  # the attempts that count
    render_seconds: Mapped[float] = mapped_column(server_default="0")
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    published_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "job_id"], ["jobs.account_id", "jobs.id"], ondelete="CASCADE"),
        UniqueConstraint("job_id", "index"),
        # One renders a key, the others wait for it: the database itself says so.
        Index(
            "uq_segments_rendering",
            "account_id",
            "key",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
        Index(
            "ix_segments_waiting",
            "account_id",
            postgresql_where=text("state = 'queued' AND published_at IS NULL"),
        ),
        Index(
            "ix_segments_published",
            "account_id",
            postgresql_where=text("state = 'queued' AND published_at IS NOT NULL"),
        ),
        Index("ix_segments_same_key", "account_id", "key", postgresql_where=text("state = 'queued'")),
        Index("ix_segments_leased", "leased_until", postgresql_where=text("state = 'running'")),
    )


class StoredSegment(Base):
    """A rendered segment in the store: never shared between accounts."""

    __tablename__ = "stored_segments"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str]
    bytes: Mapped[int]
    frames: Mapped[int]
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class StoredSpeech(Base):
    """A spoken text in the store, with the times of its words."""

    __tablename__ = "stored_speech"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str]
    bytes: Mapped[int]
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class StoredMix(Base):
    """A video's sound in one coding, in the store."""

    __tablename__ = "stored_mixes"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str]
    bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class Asset(Base):
    """A file that a client gave us. `facts` are what probing found."""

    __tablename__ = "assets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    storage_key: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int]
    media_type: Mapped[str]
    facts: Mapped[dict[str, Any]]
    name: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        Index("ix_assets_newest", "account_id", text("created_at DESC"), text("id DESC")),
        Index("ix_assets_content", "account_id", "sha256"),
    )


class Upload(Base):
    """A file that comes in pieces, until it is an asset. `received` counts what is safely on the disk."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16), server_default="open")
    length: Mapped[int | None]  # of the whole file; None as long as the client does not know it
    received: Mapped[int] = mapped_column(server_default="0")
    meta: Mapped[str | None] = mapped_column("metadata")  # as it was told, to be told again
    asset_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (
        Index("ix_uploads_open", "account_id", postgresql_where=text("state = 'open'")),
        Index("ix_uploads_asset_id", "asset_id", postgresql_where=text("asset_id IS NOT NULL")),
    )


class JobAsset(Base):
    """Which assets a job names, so that none is deleted under it."""

    __tablename__ = "job_assets"

    account_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, index=True
    )

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "job_id"], ["jobs.account_id", "jobs.id"], ondelete="CASCADE"),
    )


class Artifact(Base):
    """A file that a job made. It is written once, with the job's end."""

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
    """The first answer to a POST, kept for whoever asks again with the same key."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class WebhookSecret(Base):
    """What signs an account's webhooks. The newest signs for ever, a former one until it retires."""

    __tablename__ = "webhook_secrets"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    retires_at: Mapped[datetime | None]


class Delivery(Base):
    """A webhook to be sent: one id and one body, however often it is tried. `run_after` is also the lease of a try."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    url: Mapped[str]
    event: Mapped[str]
    subject: Mapped[str]  # the task or batch that it tells of; it may be deleted meanwhile
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
    """An address that said 410: it is gone."""

    __tablename__ = "webhook_disabled_addresses"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    url: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)


class AuditEvent(Base):
    """Who did what, when."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    action: Mapped[str]
    subject: Mapped[str]
    actor: Mapped[str | None]
    request_id: Mapped[str | None]
