"""API keys: made, listed, revoked. Nobody can give away what they do not have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api.auth import MissingScope, account_id, caller, requires
from api.http import idempotency
from api.http.request_context import canonical_json, json_body
from api.http.response_docs import header_refs
from api.http.stored_responses import StoredResponse
from api.jobs import acceptance
from api.openapi import Resource, creates, empty, fails
from api.schemas.api_keys import ApiKeyRequestSchema, ApiKeysSchema
from api.schemas.responses import NewApiKeySchema
from api.tasks import views
from shared import accounts
from shared.db import transaction
from shared.errors import NotFound
from shared.lifecycle import listing

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

blueprint = Resource("api-keys", "Keys to this API.")


@blueprint.get("/api-keys")
@requires("keys:write")
@blueprint.response(200, ApiKeysSchema)
def list_keys() -> dict[str, Any]:
    """List the account's keys, without their secrets."""
    with transaction() as session:
        return {"data": [views.api_key_view(each) for each in listing.list_keys(session, account_id())]}


@blueprint.post("/api-keys")
@requires("keys:write")
@creates
@blueprint.arguments(ApiKeyRequestSchema)
@blueprint.response(201, NewApiKeySchema, headers=header_refs("Idempotent-Replayed"))
def create_key(wanted: dict[str, Any]) -> Response:
    """Make a key with scopes that the caller has too. Its secret is shown this once."""
    beyond = sorted(set(wanted["scopes"]) - caller().scopes)
    if beyond:
        raise MissingScope(f"This key lacks the scope {beyond[0]}, and so cannot give it away.", beyond[0])
    with transaction() as session:
        answer = idempotency.run_once(
            session, canonical_json(json_body()), lambda: _create_key(session, wanted), kept=without_secret
        )
    return idempotency.to_response(answer)


@blueprint.delete("/api-keys/<key_id>")
@requires("keys:write")
@fails(404)
@empty
def delete_key(key_id: str) -> None:
    """Revoke a key: from now on it opens nothing."""
    with transaction() as session:
        if not accounts.revoke_key(session, account_id(), key_id):
            raise NotFound("There is no such key, or it is revoked already.")
        acceptance.record_audit_event(session, "keys.revoked", key_id)


def _create_key(session: Session, wanted: dict[str, Any]) -> StoredResponse:
    row, key = accounts.create_key(session, account_id(), wanted["name"], wanted["scopes"])
    session.refresh(row)
    acceptance.record_audit_event(session, "keys.created", row.id)
    return StoredResponse(201, NewApiKeySchema().dump({**views.api_key_view(row), "key": key}))


def without_secret(answer: StoredResponse) -> StoredResponse:
    """Leave the secret out: asked again, we can only tell which key it was."""
    return replace(answer, body={**answer.body, "key": None})
