"""Routes for webhooks: list and resend deliveries, show and rotate the signing secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from api import audit
from api.http import idempotency
from api.http.caller import account_id
from api.http.idempotency import StoredResponse
from api.http.query_params import NamesField, PageQuery
from api.http.request_context import canonical_json, json_body
from api.openapi.resource import Reply, Resource
from api.schemas.job import EVENTS
from api.schemas.response_fields import Timestamp
from shared.db import transaction
from shared.errors import NotFound
from shared.lifecycle import deliveries, listing
from shared.script.schema.fields import StrictInteger
from shared.script.schema.loading import StrictSchema

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from shared.models import Delivery, DeliveryAttempt

blueprint = Resource("webhooks", "Webhook deliveries, and the secret that signs them.")
STATES = ("pending", "delivered", "failed")
MAX_OVERLAP_SECONDS = 7 * 24 * 3600


class DeliveriesQuery(PageQuery):
    """A page of deliveries, with filters."""

    status = NamesField(STATES)
    event = fields.String(validate=validate.OneOf((*EVENTS, "batch.finished")))
    task_id = fields.UUID()
    batch_id = fields.UUID(metadata={"description": "Deliveries of this batch's own end, not of its tasks."})


class AttemptSchema(Schema):
    """One attempt to deliver."""

    at = Timestamp()
    status = fields.Integer(
        allow_none=True, metadata={"description": "The HTTP status of the response; null if there was none."}
    )
    error = fields.String(allow_none=True, metadata={"description": "Why there was no response."})
    seconds = fields.Float()


class DeliverySchema(Schema):
    """A message to a webhook. `webhook_id` stays the same over all attempts."""

    delivery_id = fields.UUID()
    webhook_id = fields.String()
    url = fields.String()
    event = fields.String(metadata={"enum": [*EVENTS, "batch.finished"]})
    task_id = fields.String(allow_none=True)
    batch_id = fields.String(allow_none=True, metadata={"description": "The batch whose end it reports."})
    status = fields.String(metadata={"enum": list(STATES)})
    created_at = Timestamp()
    finished_at = Timestamp(allow_none=True)
    next_attempt_at = Timestamp(allow_none=True)
    disabled = fields.Boolean(
        metadata={
            "description": "The URL has answered 410 Gone: nothing is sent to it until a delivery is resent."
        }
    )
    attempts = fields.List(fields.Nested(AttemptSchema), metadata={"description": "At most the last 50."})
    body = fields.String(metadata={"description": "The exact body that is sent."})
    links = fields.Dict(keys=fields.String(), values=fields.String())


class DeliveryPageSchema(Schema):
    """A page of deliveries, newest first."""

    data = fields.List(fields.Nested(DeliverySchema))
    next_cursor = fields.String(allow_none=True)


class SecretSchema(Schema):
    """The secret that signs the account's webhooks."""

    secret = fields.String(allow_none=True, metadata={"description": "Null in a replayed response."})
    signing = fields.Integer(
        metadata={"description": "How many secrets sign at the moment, former ones included."}
    )


class RotationSchema(StrictSchema):
    """The options of a rotation."""

    overlap = StrictInteger(
        0,
        MAX_OVERLAP_SECONDS,
        default=24 * 3600,
        description="Seconds for which the former secret signs too.",
    )


@blueprint.get("/webhook-deliveries")
@blueprint.documented(scope="jobs:read", query=DeliveriesQuery, replies={200: DeliveryPageSchema})
def list_deliveries(query: dict[str, Any]) -> dict[str, Any]:
    """List webhook deliveries, newest first, each with its attempts."""
    subject = query.get("task_id") or query.get("batch_id")
    with transaction() as session:
        rows, next_cursor = listing.list_deliveries(
            session,
            account_id(),
            limit=query["limit"],
            after=query.get("cursor"),
            states=query.get("status", ()),
            event=query.get("event"),
            subject=str(subject) if subject else None,
        )
        return {"data": _delivery_views(session, rows), "next_cursor": next_cursor and str(next_cursor)}


@blueprint.get("/webhook-deliveries/<uuid:delivery_id>")
@blueprint.documented(scope="jobs:read", replies={200: DeliverySchema}, errors=(404,))
def get_delivery(delivery_id: UUID) -> dict[str, Any]:
    """Show a delivery with its attempts."""
    with transaction() as session:
        return _find_delivery(session, delivery_id)


@blueprint.post("/webhook-deliveries/<uuid:delivery_id>/resend")
@blueprint.documented(scope="jobs:write", replies={202: DeliverySchema}, errors=(404,))
def resend_delivery(delivery_id: UUID) -> dict[str, Any]:
    """Send a delivery again, under its own id. A URL that was disabled by 410 Gone is enabled again."""
    with transaction() as session:
        if not deliveries.resend(session, account_id(), delivery_id):
            raise NotFound("There is no such delivery.")
        audit.record(session, "webhooks.resent", str(delivery_id))
        session.expire_all()
        return _find_delivery(session, delivery_id)


@blueprint.get("/webhook-secret")
@blueprint.documented(scope="keys:write", replies={200: SecretSchema})
def get_secret() -> dict[str, Any]:
    """Show the secret that signs webhooks."""
    with transaction() as session:
        secrets = deliveries.signing_secrets(session, account_id())
    return {"secret": secrets[0], "signing": len(secrets)}


@blueprint.post("/webhook-secret")
@blueprint.documented(
    scope="keys:write",
    json=RotationSchema,
    optional_body=True,
    replies={201: Reply(SecretSchema, headers=("Idempotent-Replayed",))},
    idempotent=True,
)
def rotate_secret(values: dict[str, Any]) -> Response:
    """Create a new secret. The former one signs too until the overlap ends; at most five sign at a time."""
    with transaction() as session:
        answer = idempotency.run_once(
            session,
            canonical_json(json_body()),
            lambda: _rotate_secret(session, values),
            redact=_without_secret,
        )
    return idempotency.to_response(answer)


def _rotate_secret(session: Session, values: dict[str, Any]) -> StoredResponse:
    secret = deliveries.rotate_secret(session, account_id(), overlap=timedelta(seconds=values["overlap"]))
    audit.record(session, "webhooks.secret_rotated", "")
    signing = len(deliveries.signing_secrets(session, account_id()))
    return StoredResponse(201, SecretSchema().dump({"secret": secret, "signing": signing}))


def _without_secret(answer: StoredResponse) -> StoredResponse:
    return replace(answer, body={**answer.body, "secret": None})


def _find_delivery(session: Session, delivery_id: UUID) -> dict[str, Any]:
    row = listing.find_delivery(session, account_id(), delivery_id)
    if row is None:
        raise NotFound("There is no such delivery.")
    return _delivery_views(session, [row])[0]


def _delivery_views(session: Session, rows: list[Delivery]) -> list[dict[str, Any]]:
    if not rows:
        return []
    attempts = listing.list_delivery_attempts(session, [row.id for row in rows])
    disabled = listing.find_disabled_addresses(session, account_id(), [row.url for row in rows])
    return [_delivery_view(row, attempts.get(row.id, []), disabled=row.url in disabled) for row in rows]


def _delivery_view(row: Delivery, attempts: list[DeliveryAttempt], *, disabled: bool) -> dict[str, Any]:
    path = f"/v1/webhook-deliveries/{row.id}"
    of_task = row.event.startswith("task.")
    return {
        "delivery_id": row.id,
        "webhook_id": f"msg_{row.id.hex}",
        "url": row.url,
        "event": row.event,
        "task_id": row.subject if of_task else None,
        "batch_id": None if of_task else row.subject,
        "status": row.state,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "next_attempt_at": row.run_after if row.state == "pending" else None,
        "disabled": disabled,
        "attempts": attempts,
        "body": row.body,
        "links": {"self": path, "resend": f"{path}/resend"},
    }
