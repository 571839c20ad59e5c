"""Schemas of the operators' routes: accounts, audit events, queues and quarantined jobs."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.response_fields import RawJson, Timestamp
from api.schemas.responses import ProblemSchema
from shared.names import QueueName
from shared.script.schema.fields import StrictBoolean, StrictInteger, StrictNumber, StrictString
from shared.script.schema.loading import StrictSchema

_WEIGHT = "The account's share of the workers: an account of weight 2 gets twice that of weight 1."
_ACTOR = "A key's id, or `user:` and a user's id; null where the credentials were wrong."
_BUDGET = "The most that jobs of a calendar month may cost; null for no limit."


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
    """The share and budget of an account."""

    weight = StrictInteger(1, 1000, description=_WEIGHT)
    budget = StrictNumber(0, 1e12, nullable=True, description=_BUDGET)


class AccountChangeSchema(ShareSchema):
    """The changes to an account."""

    disabled = StrictBoolean(
        description="Whether its keys and users are refused. Disabling ends all log-ins; accepted jobs still run."
    )


class NewAccountSchema(ShareSchema):
    """A new account."""

    name = StrictString(100, one_line=True, required=True)


class AuditEventSchema(Schema):
    """An audit event: who did what, and when."""

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
    """A page of audit events, newest first."""

    data = fields.List(fields.Nested(AuditEventSchema))
    next_cursor = fields.Integer(allow_none=True)


class DepthSchema(Schema):
    """Counts of unfinished work."""

    waiting = fields.Integer(
        metadata={"description": "Not published yet, since the account's window is full."}
    )
    published = fields.Integer(
        metadata={"description": "Published to the broker, and not claimed by a worker."}
    )
    running = fields.Integer()


class QueueSchema(DepthSchema):
    """A queue of jobs."""

    queue = fields.String(metadata={"enum": [QueueName.SCRIPTS, QueueName.RENDERS]})
    oldest_wait = fields.Float(metadata={"description": "Seconds since the oldest waiting job was due."})


class WindowSchema(Schema):
    """The most jobs that an account of weight 1 may have published and running."""

    unclaimed = fields.Integer()
    running = fields.Integer()


class QuarantinedSchema(Schema):
    """A job that failed because every attempt lost its worker."""

    task_id = fields.UUID(attribute="id")
    account_id = fields.UUID()
    kind = fields.String()
    attempt = fields.Integer()
    finished_at = Timestamp()
    error = RawJson(ProblemSchema)


class QueuesSchema(Schema):
    """Queue depths, throughput and quarantined jobs."""

    queues = fields.List(fields.Nested(QueueSchema))
    segments = fields.Nested(DepthSchema)
    unfinished = fields.Integer(metadata={"description": "Jobs."})
    most = fields.Integer(
        metadata={"description": "The number of unfinished jobs at which new ones are refused."}
    )
    finished_last_minute = fields.Integer(
        metadata={"description": "Jobs that succeeded or failed in the last minute."}
    )
    window = fields.Nested(WindowSchema)
    quarantined = fields.List(fields.Nested(QuarantinedSchema))
