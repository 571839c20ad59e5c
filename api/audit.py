"""Writes audit events: who did what, in the same transaction as the change itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from api.http.caller import caller
from api.http.request_context import request_id
from shared.models import AuditEvent, Base
from shared.prepared_statements import PreparedStatement

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

_INSERT = PreparedStatement(
    "insert_audit_event",
    insert(Base.metadata.tables["audit_events"]).inline(),
    columns=["account_id", "action", "subject", "actor", "request_id"],
)


def record(session: Session, action: str, subject: str) -> None:
    """Record what the caller did to a subject, such as `jobs.submitted` and the job's id."""
    who = caller()
    session.execute(
        _INSERT.prepare(session),
        {
            "account_id": who.account_id,
            "action": action,
            "subject": subject,
            "actor": who.actor,
            "request_id": request_id(),
        },
    )


def record_for(session: Session, account_id: UUID, action: str, subject: str, actor: str | None) -> None:
    """Record what was done in an account by somebody who is not authenticated yet: log-ins, and what ends them.

    `actor` is None where a user or key was only claimed.
    """
    # A plain INSERT: a prepared one costs a second statement on each new connection, and its time would tell
    # an attacker which user names exist.
    session.add(
        AuditEvent(
            account_id=account_id, action=action, subject=subject, actor=actor, request_id=request_id()
        )
    )
