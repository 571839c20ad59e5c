"""Tables of what clients store to make jobs from: templates, assets, uploads."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base


class Template(Base):
    """One version of a template. `body` is the document as it was put, with its members in their order."""

    __tablename__ = "templates"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    # Sorted by code points, as Python sorts: listings merge built-in templates into them.
    template_id: Mapped[str] = mapped_column(String(64, collation="C"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]  # a deleted version's number is not used again


class Asset(Base):
    """A file that a client uploaded. `facts` is what probing found."""

    __tablename__ = "assets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    storage_key: Mapped[str] = mapped_column(index=True)
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
    """A resumable upload, until it is an asset. `received` counts the bytes that are safely on the disk."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16), server_default="open")
    length: Mapped[int | None]  # of the whole file; None until the client knows it
    received: Mapped[int] = mapped_column(server_default="0")
    meta: Mapped[str | None] = mapped_column(
        "metadata"
    )  # the client's Upload-Metadata header, returned unchanged
    asset_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (
        Index("ix_uploads_open", "account_id", postgresql_where=text("state = 'open'")),
        Index("ix_uploads_asset_id", "asset_id", postgresql_where=text("asset_id IS NOT NULL")),
    )


class JobAsset(Base):
    """An asset that a job names, so that it is not deleted before the job ends."""

    __tablename__ = "job_assets"

    account_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, index=True
    )

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "job_id"], ["jobs.account_id", "jobs.id"], ondelete="CASCADE"),
    )
