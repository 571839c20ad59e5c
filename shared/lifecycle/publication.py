"""Writes `published_at`, the mark on a row that its message is at the broker; no other module sets or clears it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import update

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from shared.models import Job, Segment

# In the UPDATE that admits rows: they are marked before they are sent, so that nobody else sends them too.
MARK_PUBLISHED = "published_at = now()"
# In an UPDATE that queues a row again: its message is used up, and without the mark it is published anew.
NOT_PUBLISHED: dict[str, Any] = {"published_at": None}


def clear_mark(
    session: Session,
    table: type[Job | Segment],
    ids: Collection[uuid.UUID] | Select[uuid.UUID],
) -> None:
    """Mark these rows as not published, so that the next admission or sweep publishes them."""
    session.execute(update(table).where(table.id.in_(ids)).values(NOT_PUBLISHED))
