"""Writes down who did what where nobody is known yet: log-ins, and what ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.request_context import request_id
from shared.models import AuditEvent

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session


def record(session: Session, account_id: UUID, action: str, subject: str, actor: str | None) -> None:
    """Write down what was done in an account; `actor` is None where somebody only claimed to be one."""
    session.add(
        AuditEvent(
            account_id=account_id, action=action, subject=subject, actor=actor, request_id=request_id()
        )
    )
