"""Queries and changes of operators, over all accounts: accounts, audit events, queues, quarantine. Functions never commit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from api.security import logins
from shared.lifecycle import jobs
from shared.models import Account, AuditEvent, Job
from shared.states import State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

WORKER_LOST = "worker-lost"
_QUARANTINED = (Job.state == State.FAILED, Job.error["code"].astext == WORKER_LOST)

_QUEUES = text("""
SELECT kind, count(*) FILTER (WHERE state = 'queued' AND published_at IS NULL) AS waiting,
       count(*) FILTER (WHERE state = 'queued' AND published_at IS NOT NULL) AS published,
       count(*) FILTER (WHERE state IN ('running', 'canceling')) AS running,
       extract(epoch FROM now() - min(run_after) FILTER (WHERE state = 'queued' AND run_after <= now())) AS oldest
  FROM jobs
 WHERE (state = 'queued' AND published_at IS NULL)
    OR state IN ('running', 'canceling') OR (state = 'queued' AND published_at IS NOT NULL)
 GROUP BY kind
""")
_SEGMENTS = text("""
SELECT count(*) FILTER (WHERE s.state = 'queued' AND s.published_at IS NULL) AS waiting,
       count(*) FILTER (WHERE s.state = 'queued' AND s.published_at IS NOT NULL) AS published,
       count(*) FILTER (WHERE s.state = 'running') AS running
  FROM segments s JOIN jobs ON jobs.id = s.job_id
 WHERE s.state = 'running' OR (s.state = 'queued' AND jobs.state IN ('queued', 'running'))
""")


def list_accounts(session: Session, *, limit: int, after: str) -> list[Account]:
    """Return a page of all accounts, by name."""
    query = select(Account).where(Account.name > after).order_by(Account.name).limit(limit)
    return list(session.scalars(query))


def create_account(session: Session, name: str, values: dict[str, Any]) -> Account | None:
    """Create an account, or return None if the name is taken."""
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        return None
    row = Account(id=uuid.uuid4(), name=name, **values)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def change_account(session: Session, account_id: uuid.UUID, values: dict[str, Any]) -> Account | None:
    """Set an account's weight or budget, disable or enable it; return None if there is no such account.

    Disabling ends its log-ins for good. Its keys are refused until it is enabled again.
    """
    row = session.get(Account, account_id, with_for_update={"key_share": True})
    if row is None:
        return None
    for name in ("weight", "budget"):
        if name in values:
            setattr(row, name, values[name])
    if values.get("disabled") and row.disabled_at is None:
        row.disabled_at = session.scalar(select(func.now()))
        logins.end_all(session, account_id)
    elif values.get("disabled") is False:
        row.disabled_at = None
    session.flush()
    return row


def account_exists(session: Session, account_id: uuid.UUID) -> bool:
    """Return whether the account exists."""
    return session.scalar(select(Account.id).where(Account.id == account_id)) is not None


def list_audit_events(
    session: Session, *, limit: int, before: int | None, account_id: uuid.UUID | None, action: str | None
) -> list[AuditEvent]:
    """Return a page of audit events, newest first."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if account_id is not None:
        query = query.where(AuditEvent.account_id == account_id)
    if action is not None:
        query = query.where(AuditEvent.action == action)
    return list(session.scalars(query))


def queue_depths(session: Session) -> dict[str, Any]:
    """Return the numbers of waiting, published and running jobs by kind, and of segments."""
    kinds = {row.kind: row._asdict() for row in session.execute(_QUEUES)}
    return {"kinds": kinds, "segments": session.execute(_SEGMENTS).one()._asdict()}


def find_quarantined(session: Session, *, limit: int) -> list[Any]:
    """Return the quarantined jobs, which lost their worker on every attempt, newest first."""
    columns = (Job.id, Job.account_id, Job.kind, Job.attempt, Job.error, Job.finished_at)
    query = select(*columns).where(*_QUARANTINED).order_by(Job.finished_at.desc()).limit(limit)
    return list(session.execute(query))


def requeue_job(session: Session, job_id: uuid.UUID, *, attempts: int) -> uuid.UUID | None:
    """Queue a quarantined job again and return its account, or None if there is no such job."""
    account_id = session.scalar(
        select(Job.account_id).where(Job.id == job_id, *_QUARANTINED).with_for_update()
    )
    if account_id is not None:
        jobs.retry(session, account_id, job_id, attempts=attempts)
    return account_id
