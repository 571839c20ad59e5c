"""Counts unfinished jobs and the rate at which jobs finish, by partial indexes that a million finished jobs do not slow down."""

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
MIN_SECONDS = 1.0  # seconds: a rate over less would vary too much
MAX_COUNTED = 20_000  # that are counted: Retry-After would be 1 s anyway


def count_unfinished(session: Session, limit: int, account_id: UUID | None = None) -> int:
    """Return the number of unfinished jobs, of one account or of all, or `limit` + 1 where there are more."""
    enough = {"enough": limit + 1}
    if account_id is None:
        result = session.execute(_ALL, enough)
    else:
        result = session.execute(_OF_ACCOUNT, {**enough, "account": account_id})
    return result.scalar_one()


class CompletionRate(NamedTuple):
    """Jobs finished within the last minute, and the seconds in which they did: fewer than 60 where work has just started."""

    finished: int
    seconds: float


def completion_rate(session: Session, account_id: UUID | None = None) -> CompletionRate:
    """Return the rate at which jobs finish, of one account or of all, within the last minute. Canceled jobs do not count."""
    finished = Job.state.in_((State.SUCCEEDED, State.FAILED))
    started = func.coalesce(Job.started_at, Job.created_at)
    recent = (
        select((func.now() - started).label("ago"))
        .where(
            Job.finished_at > func.now() - text(f"interval '{WINDOW_SECONDS} seconds'"),
            finished,
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
    limited = [select(Job.id).where(part, *owner).limit(enough).subquery() for part in parts]
    first, second = (select(func.count()).select_from(part).scalar_subquery() for part in limited)
    return select(first + second)


# Built once: every request with jobs runs one of them.
_ALL, _OF_ACCOUNT = _unfinished_query(), _unfinished_query(Job.account_id == bindparam("account"))
