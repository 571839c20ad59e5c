"""What operators see and do. These routes alone cross accounts, by the scope `admin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from api import audit, publishing
from api.accounts import api_keys, operator_queries
from api.http import idempotency
from api.http.caller import caller
from api.http.idempotency import StoredResponse
from api.http.query_params import DEFAULT_LIMIT, MAX_LIMIT, Query
from api.http.request_context import canonical_json, config, json_body
from api.jobs import queue_depth
from api.openapi.resource import Reply, Resource
from api.schemas.api_keys import ApiKeyRequestSchema
from api.schemas.response_fields import RawJson, Timestamp
from api.schemas.responses import NewApiKeySchema, ProblemSchema
from shared import accounts
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.names import JOB_TASKS, TASK_QUEUES, QueueName
from shared.script.schema.fields import StrictBoolean, StrictInteger, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from shared.models import Account

blueprint = Resource("admin", "All accounts, for whoever runs this.")
MAX_QUARANTINED = 100  # that are shown
_WEIGHT = "How many others the account counts for when work is handed out."
_ACTOR = "A key's id, or `user:` and a user's; null: somebody who only claimed to be one."
_BUDGET = "What a calendar month may cost; null: no limit."


class AccountsQuery(Query):
    """A page of accounts, in the order of their names."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.String(
        load_default="", validate=validate.ContainsNoneOf("\0", error="May not hold a NUL.")
    )


class AuditQuery(Query):
    """A page of what was done, and of what."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT), strict=False)
    cursor = fields.Integer(load_default=None, validate=validate.Range(1, 2**62), strict=False)
    account_id = fields.UUID(load_default=None)
    action = fields.String(load_default=None, validate=validate.Regexp(r"^[a-z_.]{1,64}$"))


class AccountSchema(Schema):
    """An account."""

    account_id = fields.UUID(attribute="id")
    name = fields.String()
    weight = fields.Integer(metadata={"description": _WEIGHT})
    budget = fields.Float(allow_none=True, metadata={"description": _BUDGET})
    created_at = Timestamp()
    disabled_at = Timestamp(allow_none=True)


class AccountPageSchema(Schema):
    """A page of accounts."""

    data = fields.List(fields.Nested(AccountSchema))
    next_cursor = fields.String(allow_none=True)


class ShareSchema(StrictSchema):
    """What an account gets."""

    weight = StrictInteger(1, 1000, description=_WEIGHT)
    budget = StrictNumber(0, 1e12, nullable=True, description=_BUDGET)


class AccountChangeSchema(ShareSchema):
    """What is to be set of an account."""

    disabled = StrictBoolean(
        description="While it is, no key and no user of it gets in; its log-ins end. What it was promised is done."
    )


class NewAccountSchema(ShareSchema):
    """An account that is to be made."""

    name = StrictString(100, one_line=True, required=True)


class AuditEventSchema(Schema):
    """Who did what, when."""

    id = fields.Integer()
    at = Timestamp()
    account_id = fields.UUID()
    action = fields.String()
    subject = fields.String()
    actor = fields.String(
        allow_none=True,
        metadata={"description": _ACTOR},
    )
    request_id = fields.String(allow_none=True)


class AuditPageSchema(Schema):
    """A page of what was done, newest first."""

    data = fields.List(fields.Nested(AuditEventSchema))
    next_cursor = fields.Integer(allow_none=True)


class DepthSchema(Schema):
    """How much of something is unfinished."""

    waiting = fields.Integer(metadata={"description": "In Postgres, until its account's window has room."})
    published = fields.Integer(metadata={"description": "Told to the broker, and claimed by nobody."})
    running = fields.Integer()


class QueueSchema(DepthSchema):
    """A queue of jobs."""

    queue = fields.String(metadata={"enum": [QueueName.SCRIPTS, QueueName.RENDERS]})
    oldest_wait = fields.Float(metadata={"description": "Seconds that the one due longest has been due."})


class WindowSchema(Schema):
    """What an account of weight 1 may have at the workers."""

    unclaimed = fields.Integer()
    running = fields.Integer()


class QuarantinedSchema(Schema):
    """A job that was given up since every attempt lost its worker."""

    task_id = fields.UUID(attribute="id")
    account_id = fields.UUID()
    kind = fields.String()
    attempt = fields.Integer()
    finished_at = Timestamp()
    error = RawJson(ProblemSchema)


class QueuesSchema(Schema):
    """How much there is to do, and how fast it goes."""

    queues = fields.List(fields.Nested(QueueSchema))
    segments = fields.Nested(DepthSchema)
    unfinished = fields.Integer(metadata={"description": "Jobs."})
    most = fields.Integer(metadata={"description": "Unfinished jobs above which new ones are refused."})
    finished_last_minute = fields.Integer(metadata={"description": "Jobs, without the canceled ones."})
    window = fields.Nested(WindowSchema)
    quarantined = fields.List(fields.Nested(QuarantinedSchema))


@blueprint.get("/admin/accounts")
@blueprint.documented(scope="admin", query=AccountsQuery, replies={200: AccountPageSchema})
def list_accounts(query: dict[str, Any]) -> dict[str, Any]:
    """List all accounts by name."""
    with transaction() as session:
        found = operator_queries.list_accounts(session, limit=query["limit"] + 1, after=query["cursor"])
    page = found[: query["limit"]]
    return {"data": page, "next_cursor": page[-1].name if len(found) > len(page) else None}


@blueprint.post("/admin/accounts")
@blueprint.documented(
    scope="admin",
    json=NewAccountSchema,
    replies={201: Reply(AccountSchema, headers=("Idempotent-Replayed",))},
    idempotent=True,
)
def create_account(wanted: dict[str, Any]) -> Response:
    """Make an account. Its first key is made with `POST /v1/admin/accounts/{account_id}/keys`."""
    with transaction() as session:
        answer = idempotency.run_once(
            session, canonical_json(json_body()), lambda: _create_account(session, wanted)
        )
    return idempotency.to_response(answer)


@blueprint.put("/admin/accounts/<uuid:account_id>")
@blueprint.documented(
    scope="admin", json=AccountChangeSchema, replies={200: AccountSchema}, errors=(404, 409)
)
def change_account(wanted: dict[str, Any], account_id: UUID) -> Account:
    """Set an account's weight or budget, disable or enable it; what is not named stays as it is."""
    if wanted.get("disabled") and account_id == caller().account_id:
        raise Conflict("This is the account of your own key. Another operator can disable it.")
    with transaction() as session:
        row = operator_queries.change_account(session, account_id, wanted)
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
def create_account_key(wanted: dict[str, Any], account_id: UUID) -> Response:
    """Make a key to any account. Its secret is shown this once."""
    with transaction() as session:
        answer = idempotency.run_once(
            session,
            canonical_json(json_body()),
            lambda: _create_key(session, account_id, wanted),
            redact=api_keys.without_secret,
        )
    return idempotency.to_response(answer)


@blueprint.get("/admin/audit-events")
@blueprint.documented(scope="admin", query=AuditQuery, replies={200: AuditPageSchema})
def list_audit_events(query: dict[str, Any]) -> dict[str, Any]:
    """List who did what, newest first, in all accounts."""
    with transaction() as session:
        found = operator_queries.list_audit_events(
            session,
            limit=query["limit"] + 1,
            before=query["cursor"],
            account_id=query["account_id"],
            action=query["action"],
        )
    page = found[: query["limit"]]
    return {"data": page, "next_cursor": page[-1].id if len(found) > len(page) else None}


@blueprint.get("/admin/queues")
@blueprint.documented(scope="admin", replies={200: QueuesSchema})
def show_queues() -> dict[str, Any]:
    """Show how much waits and runs in each queue, how fast jobs end, and which ones were given up."""
    limits = config()
    with transaction() as session:
        depths = operator_queries.queue_depths(session)
        lost = operator_queries.find_quarantined(session, limit=MAX_QUARANTINED)
        ended = queue_depth.completion_rate(session).finished
    queues = [_queue_view(kind, depths["kinds"].get(kind, {})) for kind in JOB_TASKS]
    return {
        "queues": queues,
        "segments": depths["segments"],
        "unfinished": sum(one["waiting"] + one["published"] + one["running"] for one in queues),
        "most": limits.max_queued,
        "finished_last_minute": ended,
        "window": {"unclaimed": limits.max_unclaimed_per_account, "running": limits.max_running_per_account},
        "quarantined": lost,
    }


@blueprint.post("/admin/jobs/<uuid:task_id>/requeue")
@blueprint.documented(scope="admin", replies={204: Reply(about="Done.")}, errors=(404,))
def requeue_job(task_id: UUID) -> None:
    """Run a job again that was given up since every attempt lost its worker."""
    with transaction() as session:
        owner = operator_queries.requeue_job(session, task_id, attempts=config().max_attempts)
        if owner is None:
            raise NotFound("There is no such job in quarantine.")
        audit.record(session, "jobs.requeued", str(task_id))
    publishing.publish_queued(owner)


def _create_account(session: Session, wanted: dict[str, Any]) -> StoredResponse:
    values: dict[str, Any] = {name: wanted[name] for name in ("weight", "budget") if name in wanted}
    row = operator_queries.create_account(session, wanted["name"], values)
    if row is None:
        raise Conflict("There is an account of this name.")
    audit.record(session, "accounts.created", str(row.id))
    return StoredResponse(201, AccountSchema().dump(row))


def _create_key(session: Session, account_id: UUID, wanted: dict[str, Any]) -> StoredResponse:
    if operator_queries.change_account(session, account_id, {}) is None:
        raise NotFound("There is no such account.")
    row, key = accounts.create_key(session, account_id, wanted["name"], wanted["scopes"])
    session.refresh(row)
    audit.record(session, "keys.created", row.id)
    return StoredResponse(201, NewApiKeySchema().dump({**api_keys.api_key_view(row), "key": key}))


def _queue_view(kind: str, depth: dict[str, Any]) -> dict[str, Any]:
    counts = {name: depth.get(name, 0) for name in ("waiting", "published", "running")}
    return {"queue": TASK_QUEUES[JOB_TASKS[kind]], "oldest_wait": float(depth.get("oldest") or 0), **counts}
