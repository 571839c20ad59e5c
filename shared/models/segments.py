"""Tables of segments and of the render, speech and sound caches."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import NOW, Base
from shared.states import SegmentState


class Segment(Base):
    """A part of one job's picture, with a lease and a fencing token of its own."""

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
    charged: Mapped[int] = mapped_column(server_default="0")  # the attempts that count against the limit
    render_seconds: Mapped[float] = mapped_column(server_default="0")
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    published_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "job_id"], ["jobs.account_id", "jobs.id"], ondelete="CASCADE"),
        UniqueConstraint("job_id", "index"),
        # Only one worker may render a key at a time; the others wait for its result.
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
    """A rendered segment in the cache, never shared between accounts."""

    __tablename__ = "stored_segments"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    frames: Mapped[int]
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class StoredSpeech(Base):
    """A spoken text in the cache, with the times of its words."""

    __tablename__ = "stored_speech"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class StoredMix(Base):
    """A video's mixed sound in one codec, in the cache."""

    __tablename__ = "stored_mixes"

    account_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    storage_key: Mapped[str] = mapped_column(index=True)
    bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)
