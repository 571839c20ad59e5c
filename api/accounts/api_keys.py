"""Routes of /v1/api-keys: list, create and revoke. A key gets no scope that its creator lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api import audit
from api.http import idempotency
from api.http.caller import MissingScope, account_id, caller
from api.http.idempotency import StoredResponse
from api.http.request_context import canonical_json, json_body
from api.openapi.resource import Reply, Resource
from api.schemas.api_keys import ApiKeyRequestSchema, ApiKeysSchema
from api.schemas.responses import NewApiKeySchema
from shared import accounts
from shared.db import transaction
from shared.errors import NotFound
from shared.lifecycle import listing

if TYPE_CHECKING:
    from flask import Response
    from sqlalchemy.orm import Session

    from shared.models import ApiKey

blueprint = Resource("api-keys", "The account's API keys.")


@blueprint.get("/api-keys")
@blueprint.documented(scope="keys:write", replies={200: ApiKeysSchema})
def list_keys() -> dict[str, Any]:
    """List the account's keys, without their secrets."""
    with transaction() as session:
        return {"data": [api_key_view(row) for row in listing.list_keys(session, account_id())]}


@blueprint.post("/api-keys")
@blueprint.documented(
    scope="keys:write",
    json=ApiKeyRequestSchema,
    replies={201: Reply(NewApiKeySchema, headers=("Idempotent-Replayed",))},
    idempotent=True,
)
def create_key(values: dict[str, Any]) -> Response:
    """Create a key with scopes that the caller has. Its secret is shown in this response alone."""
    beyond = sorted(set(values["scopes"]) - caller().scopes)
    if beyond:
        raise MissingScope(
            f"This key lacks the scope {beyond[0]}, and cannot grant it to another key.", beyond[0]
        )
    with transaction() as session:
        answer = idempotency.run_once(
            session, canonical_json(json_body()), lambda: _create_key(session, values), redact=without_secret
        )
    return idempotency.to_response(answer)


@blueprint.delete("/api-keys/<key_id>")
@blueprint.documented(scope="keys:write", replies={204: Reply(about="Done.")}, errors=(404,))
def delete_key(key_id: str) -> None:
    """Revoke a key, at once."""
    with transaction() as session:
        if not accounts.revoke_key(session, account_id(), key_id):
            raise NotFound("There is no such key, or it is already revoked.")
        audit.record(session, "keys.revoked", key_id)


def _create_key(session: Session, values: dict[str, Any]) -> StoredResponse:
    row, key = accounts.create_key(session, account_id(), values["name"], values["scopes"])
    # Timestamps are set by the database, and the response shows them.
    session.refresh(row)
    audit.record(session, "keys.created", row.id)
    return StoredResponse(201, NewApiKeySchema().dump({**api_key_view(row), "key": key}))


def without_secret(answer: StoredResponse) -> StoredResponse:
    """Return the response without the secret, which must not be stored for replays."""
    return replace(answer, body={**answer.body, "key": None})


def api_key_view(row: ApiKey) -> dict[str, Any]:
    """Return the view of a key, without its secret."""
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
    }
