"""Accounts, who opens them, what they used and what was done in them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base


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

    __table_args__ = (
        Index("ix_api_keys_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )


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
        Index("ix_logins_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )


class RefreshToken(Base):
    """A token that is changed for the next one, once. It stays when it is used: a second use betrays a thief."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    login_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime | None]


class LoginThrottle(Base):
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
