"""Tables of accounts: keys, users, logins, usage and the audit log."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base


class Account(Base):
    """An account, to which jobs and all other rows belong."""

    __tablename__ = "accounts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    budget: Mapped[float | None]  # for a calendar month; None: no limit
    weight: Mapped[int] = mapped_column(
        server_default="1"
    )  # its share of the workers, relative to other accounts
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]  # since then its keys and users are refused
    link_secret: Mapped[str] = mapped_column(
        server_default=text("replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')")
    )  # signs links to artifacts


class ApiKey(Base):
    """An API key. Only a hash of its secret is stored."""

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
    """A user, who logs in with a password. Only its Argon2id hash is stored."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    username: Mapped[str] = mapped_column(
        unique=True
    )  # lower case, so that no two users differ by case alone
    password_hash: Mapped[str]
    one_time_until: Mapped[
        datetime | None
    ]  # until then the password works for one login, which must set another one
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]


class Login(Base):
    """A login of a user or by a key: the family of tokens issued from it, which end with it."""

    __tablename__ = "logins"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    scopes: Mapped[list[str]]
    address: Mapped[str]  # the client's IP address
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
    """A refresh token, exchanged once for the next one. A used one stays: a second use means that it was stolen."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    login_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime | None]


class LoginThrottle(Base):
    """Failed logins of one subject, stored as the time when they are forgotten. The subject is a hash.

    It belongs to no account, since the user name that was tried need not exist.
    """

    __tablename__ = "guesses"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    forgotten_at: Mapped[datetime] = mapped_column(index=True)


class Usage(Base):
    """What an attempt used of something with a price, and its cost then. Rows are only inserted."""

    __tablename__ = "usage"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None]  # not a foreign key: usage stays when the job is deleted
    attempt: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(32))
    amount: Mapped[float]
    cost: Mapped[float]
    at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_usage_month", "account_id", "at"), Index("ix_usage_job", "job_id"))


class AuditEvent(Base):
    """Who did what, and when."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    action: Mapped[str]
    subject: Mapped[str]
    actor: Mapped[str | None]
    request_id: Mapped[str | None]
