"""How much is unfinished and how fast it ends, by the indexes of exactly that: a million finished jobs cost nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, text

from shared.models import Job
from shared.states import State

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

MINUTE = 60  # seconds
MOST_FINISHED = 20_000  # that are counted: more is as fast as fast can be


def depth(session: Session, most: int, account_id: UUID | None = None) -> int:
    """Return how many jobs are unfinished, of one account or of all, and stop counting past `most`."""
    published = and_(Job.state == State.QUEUED, Job.published_at.is_not(None))
    parts = (
        and_(Job.state == State.QUEUED, Job.published_at.is_(None)),
        or_(Job.state.in_((State.RUNNING, State.CANCELING)), published),
    )
    found = [select(Job.id).where(part, *_of(account_id)).limit(most + 1).subquery() for part in parts]
    first, second = (select(func.count()).select_from(part).scalar_subquery() for part in found)
    return int(session.scalars(select(first + second)).one())


def finished(session: Session, account_id: UUID | None = None) -> int:
    """Return how many jobs ended within the last minute, of one account or of all."""
    recent = (
        select(Job.id)
        .where(Job.finished_at > func.now() - text(f"interval '{MINUTE} seconds'"), *_of(account_id))
        .limit(MOST_FINISHED)
        .subquery()
    )
    return session.scalars(select(func.count()).select_from(recent)).one()


def _of(account_id: UUID | None) -> tuple[Any, ...]:
    return () if account_id is None else (Job.account_id == account_id,)
