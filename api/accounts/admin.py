"""Operators' routes: accounts and their keys, audit events, queues, quarantined jobs. They alone cross accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from api import audit, publishing
from api.accounts import api_keys, operator_queries
from api.http import idempotency
from api.http.caller import caller
from api.http.idempotency import StoredResponse
from api.http.query_params import DEFAULT_LIMIT, MAX_LIMIT, Query
from api.http.request_context import canonical_json, config, json_body
from api.jobs import queue_depth
from api.openapi.resource import Reply, Resource
from api.schemas.admin import (
    AccountChangeSchema,
    AccountPageSchema,
    AccountSchema,
    AuditPageSchema,
    NewAccountSchema,
    QueuesSchema,
)
from api.schemas.api_keys import ApiKeyRequestSchema
from api.schemas.responses import NewApiKeySchema
from shared import accounts
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.names import JOB_TASKS, TASK_QUEUES

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from shared.models import Account

blueprint = Resource("admin", "All accounts, for operators.")
MAX_QUARANTINED = 100  # quarantined jobs that are listed


class AccountsQuery(Query):
    """A page of accounts, ordered by name."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.String(
        load_default="", validate=validate.ContainsNoneOf("\0", error="Must not contain a NUL character.")
    )


class AuditQuery(Query):
    """A page of audit events, with filters."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.Integer(load_default=None, validate=validate.Range(1, 2**62), strict=False)
    account_id = fields.UUID(load_default=None)
    action = fields.String(load_default=None, validate=validate.Regexp(r"^[a-z_.]{1,64}$"))


@blueprint.get("/admin/accounts")
@blueprint.documented(scope="admin", query=AccountsQuery, replies={200: AccountPageSchema})
def list_accounts(query: dict[str, Any]) -> dict[str, Any]:
    """List all accounts by name."""
    with transaction() as session:
        rows = operator_queries.list_accounts(session, limit=query["limit"] + 1, after=query["cursor"])
    page = rows[: query["limit"]]
    return {"data": page, "next_cursor": page[-1].name if len(rows) > len(page) else None}


@blueprint.post("/admin/accounts")
@blueprint.documented(
    scope="admin",
    json=NewAccountSchema,
    replies={201: Reply(AccountSchema, headers=("Idempotent-Replayed",))},
    idempotent=True,
)
def create_account(values: dict[str, Any]) -> Response:
    """Create an account. Create its first key with `POST /v1/admin/accounts/{account_id}/keys`."""
    with transaction() as session:
        answer = idempotency.run_once(
            session, canonical_json(json_body()), lambda: _create_account(session, values)
        )
    return idempotency.to_response(answer)


@blueprint.put("/admin/accounts/<uuid:account_id>")
@blueprint.documented(
    scope="admin", json=AccountChangeSchema, replies={200: AccountSchema}, errors=(404, 409)
)
def change_account(values: dict[str, Any], account_id: UUID) -> Account:
    """Set an account's weight or budget, disable or enable it; absent members stay unchanged."""
    # An operator who disabled their own account could not enable it again.
    if values.get("disabled") and account_id == caller().account_id:
        raise Conflict("You cannot disable your own account. Ask another operator.")
    with transaction() as session:
        row = operator_queries.change_account(session, account_id, values)
        if row is None:
            raise NotFound("There is no such account.")
        audit.record(session, "accounts.changed", str(account_id))
        return row


@blueprint.post("/admin/accounts/<uuid:account_id>/keys")
@blueprint.documented(
    scope="admin",
    json=ApiKeyRequestSchema,
    replies={201: Reply(NewApiKeySchema, headers=("Idempotent-Replayed",))},
    errors=(404,),
    idempotent=True,
)
def create_account_key(values: dict[str, Any], account_id: UUID) -> Response:
    """Create a key for any account. Its secret is shown in this response alone."""
    with transaction() as session:
        answer = idempotency.run_once(
            session,
            canonical_json(json_body()),
            lambda: _create_key(session, account_id, values),
            redact=api_keys.without_secret,
        )
    return idempotency.to_response(answer)


@blueprint.get("/admin/audit-events")
@blueprint.documented(scope="admin", query=AuditQuery, replies={200: AuditPageSchema})
def list_audit_events(query: dict[str, Any]) -> dict[str, Any]:
    """List the audit events of all accounts, newest first."""
    with transaction() as session:
        rows = operator_queries.list_audit_events(
            session,
            limit=query["limit"] + 1,
            before=query["cursor"],
            account_id=query["account_id"],
            action=query["action"],
        )
    page = rows[: query["limit"]]
    return {"data": page, "next_cursor": page[-1].id if len(rows) > len(page) else None}


@blueprint.get("/admin/queues")
@blueprint.documented(scope="admin", replies={200: QueuesSchema})
def show_queues() -> dict[str, Any]:
    """Show the depth of each queue, how many jobs finish per minute, and quarantined jobs."""
    limits = config()
    with transaction() as session:
        depths = operator_queries.queue_depths(session)
        quarantined = operator_queries.find_quarantined(session, limit=MAX_QUARANTINED)
        finished = queue_depth.completion_rate(session).finished
    queues = [_queue_view(kind, depths["kinds"].get(kind, {})) for kind in JOB_TASKS]
    return {
        "queues": queues,
        "segments": depths["segments"],
        "unfinished": sum(queue["waiting"] + queue["published"] + queue["running"] for queue in queues),
        "most": limits.max_queued,
        "finished_last_minute": finished,
        "window": {"unclaimed": limits.max_unclaimed_per_account, "running": limits.max_running_per_account},
        "quarantined": quarantined,
    }


@blueprint.post("/admin/jobs/<uuid:task_id>/requeue")
@blueprint.documented(scope="admin", replies={204: Reply(about="Done.")}, errors=(404,))
def requeue_job(task_id: UUID) -> None:
    """Run a quarantined job again."""
    with transaction() as session:
        owner = operator_queries.requeue_job(session, task_id, attempts=config().max_attempts)
        if owner is None:
            raise NotFound("There is no quarantined job with this id. GET /v1/admin/queues lists them.")
        audit.record(session, "jobs.requeued", str(task_id))
    publishing.publish_queued(owner)


def _create_account(session: Session, values: dict[str, Any]) -> StoredResponse:
    changes: dict[str, Any] = {name: values[name] for name in ("weight", "budget") if name in values}
    row = operator_queries.create_account(session, values["name"], changes)
    if row is None:
        raise Conflict("An account with this name exists. Choose another name.")
    audit.record(session, "accounts.created", str(row.id))
    return StoredResponse(201, AccountSchema().dump(row))


def _create_key(session: Session, account_id: UUID, values: dict[str, Any]) -> StoredResponse:
    if operator_queries.change_account(session, account_id, {}) is None:
        raise NotFound("There is no such account.")
    row, key = accounts.create_key(session, account_id, values["name"], values["scopes"])
    session.refresh(row)
    audit.record(session, "keys.created", row.id)
    return StoredResponse(201, NewApiKeySchema().dump({**api_keys.api_key_view(row), "key": key}))


def _queue_view(kind: str, depth: dict[str, Any]) -> dict[str, Any]:
    counts = {name: depth.get(name, 0) for name in ("waiting", "published", "running")}
    return {"queue": TASK_QUEUES[JOB_TASKS[kind]], "oldest_wait": float(depth.get("oldest") or 0), **counts}
