"""How much is unfinished and how fast it ends, by the indexes of exactly that: a million finished jobs cost nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Integer, and_, bindparam, func, or_, select, text

from shared.models import Job
from shared.states import State

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

WINDOW_SECONDS = 60  # seconds
MIN_SECONDS = 1.0  # seconds: what a moment brought says little of the next one
MAX_COUNTED = 20_000  # that are counted: more is as fast as fast can be


def count_unfinished(session: Session, most: int, account_id: UUID | None = None) -> int:
    """Return how many jobs are unfinished, of one account or of all, and stop counting past `most`."""
    enough = {"enough": most + 1}
    if account_id is None:
        found = session.execute(_ALL, enough)
    else:
        found = session.execute(_OF_ACCOUNT, {**enough, "account": account_id})
    return found.scalar_one()


class CompletionRate(NamedTuple):
    """How many jobs were done within the last minute, and in how many seconds of it: fewer where work has just begun."""

    finished: int
    seconds: float


def completion_rate(session: Session, account_id: UUID | None = None) -> CompletionRate:
    """Return how fast jobs are done, of one account or of all: by those of the last minute, since the first began.

    Canceled ones say nothing of it.
    """
    done = Job.state.in_((State.SUCCEEDED, State.FAILED))
    began = func.coalesce(Job.started_at, Job.created_at)
    recent = (
        select((func.now() - began).label("ago"))
        .where(
            Job.finished_at > func.now() - text(f"interval '{WINDOW_SECONDS} seconds'"),
            done,
            *_account_filter(account_id),
        )
        .limit(MAX_COUNTED)
        .subquery()
    )
    number, ago = session.execute(select(func.count(), func.max(recent.c.ago))).one()
    return CompletionRate(
        number, min(WINDOW_SECONDS, max(MIN_SECONDS, ago.total_seconds())) if number else WINDOW_SECONDS
    )


def _account_filter(account_id: UUID | None) -> tuple[Any, ...]:
    return () if account_id is None else (Job.account_id == account_id,)


def _unfinished_query(*owner: Any) -> Select[int]:
    published = and_(Job.state == State.QUEUED, Job.published_at.is_not(None))
    parts = (
        and_(Job.state == State.QUEUED, Job.published_at.is_(None)),
        or_(Job.state.in_((State.RUNNING, State.CANCELING)), published),
    )
    enough = bindparam("enough", type_=Integer)
    found = [select(Job.id).where(part, *owner).limit(enough).subquery() for part in parts]
    first, second = (select(func.count()).select_from(part).scalar_subquery() for part in found)
    return select(first + second)


# Built once: each request that brings jobs asks this.
_ALL, _OF_ACCOUNT = _unfinished_query(), _unfinished_query(Job.account_id == bindparam("account"))
