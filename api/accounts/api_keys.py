"""API keys: made, listed, revoked. Nobody can give away what they do not have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api.auth import MissingScope, account_id, caller, requires
from api.http import idempotency
from api.http.request_context import canonical, json_body
from api.http.response_docs import headers
from api.http.stored_answers import Answer
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
        return {"data": [views.api_key(each) for each in listing.keys(session, account_id())]}


@blueprint.post("/api-keys")
@requires("keys:write")
@creates
@blueprint.arguments(ApiKeyRequestSchema)
@blueprint.response(201, NewApiKeySchema, headers=headers("Idempotent-Replayed"))
def create_key(wanted: dict[str, Any]) -> Response:
    """Make a key with scopes that the caller has too. Its secret is shown this once."""
    beyond = sorted(set(wanted["scopes"]) - caller().scopes)
    if beyond:
        raise MissingScope(f"This key lacks the scope {beyond[0]}, and so cannot give it away.", beyond[0])
    with transaction() as session:
        answer = idempotency.once(
            session, canonical(json_body()), lambda: _make(session, wanted), kept=without_secret
        )
    return idempotency.respond(answer)


@blueprint.delete("/api-keys/<key_id>")
@requires("keys:write")
@fails(404)
@empty
def delete_key(key_id: str) -> None:
    """Revoke a key: from now on it opens nothing."""
    with transaction() as session:
        if not accounts.revoke_key(session, account_id(), key_id):
            raise NotFound("There is no such key, or it is revoked already.")
        acceptance.note(session, "keys.revoked", key_id)


def _make(session: Session, wanted: dict[str, Any]) -> Answer:
    row, key = accounts.create_key(session, account_id(), wanted["name"], wanted["scopes"])
    session.refresh(row)
    acceptance.note(session, "keys.created", row.id)
    return Answer(201, NewApiKeySchema().dump({**views.api_key(row), "key": key}))


def without_secret(answer: Answer) -> Answer:
    """Leave the secret out: asked again, we can only tell which key it was."""
    return replace(answer, body={**answer.body, "key": None})
