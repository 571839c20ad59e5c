"""Users of all accounts, for whoever runs this: made, changed, removed. Here a one-time password is shown, once."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api import audit
from api.accounts import operator_queries, token_grants
from api.http import idempotency
from api.http.caller import caller
from api.http.idempotency import StoredResponse
from api.http.request_context import canonical_json, config, json_body
from api.openapi.resource import Reply, Resource
from api.schemas.logins import (
    NewPasswordUserSchema,
    NewUserSchema,
    UserChangeSchema,
    UserSchema,
    UsersSchema,
)
from shared.db import transaction
from shared.errors import Conflict, NotFound
from shared.security import passwords, users

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Response
    from sqlalchemy.orm import Session

    from shared.models import User

blueprint = Resource("users", "Who logs in with a password, for whoever runs this.")


@blueprint.get("/admin/accounts/<uuid:account_id>/users")
@blueprint.documented(scope="admin", replies={200: UsersSchema}, errors=(404,))
def list_users(account_id: UUID) -> dict[str, Any]:
    """List an account's users by name."""
    with transaction() as session:
        if not operator_queries.account_exists(session, account_id):
            raise NotFound("There is no such account.")
        return {"data": users.list_users(session, account_id)}


@blueprint.post("/admin/accounts/<uuid:account_id>/users")
@blueprint.documented(
    scope="admin",
    json=NewUserSchema,
    replies={201: Reply(NewPasswordUserSchema, headers=("Idempotent-Replayed",))},
    errors=(404,),
    idempotent=True,
)
def create_user(wanted: dict[str, Any], account_id: UUID) -> Response:
    """Make a user of an account. Without a password it gets a one-time password, shown this once."""
    password = wanted.get("password")
    shown = None if password else passwords.make_one_time_password()
    kept = token_grants.hash_password(password or shown or "")
    with transaction() as session:
        answer = idempotency.run_once(
            session,
            _request_fingerprint(),
            lambda: _create_user(session, account_id, wanted, kept, shown),
            redact=_without_password,
        )
    return idempotency.to_response(answer)


@blueprint.put("/admin/users/<uuid:user_id>")
@blueprint.documented(scope="admin", json=UserChangeSchema, replies={200: UserSchema}, errors=(404, 409))
def change_user(wanted: dict[str, Any], user_id: UUID) -> User:
    """Set a user's scopes or password, or disable or enable it; what is not named stays as it is."""
    kept = token_grants.hash_password(wanted["password"]) if "password" in wanted else None
    if wanted.get("disabled"):
        _refuse_own_user(user_id)
    with transaction() as session:
        user = _lock_user(session, user_id)
        if kept:
            users.set_password(session, user, kept, one_time=False)
        users.update_user(session, user, wanted)
        audit.record(session, "users.changed", f"user:{user_id}")
        return user


@blueprint.post("/admin/users/<uuid:user_id>/one-time-password")
@blueprint.documented(scope="admin", replies={200: NewPasswordUserSchema}, errors=(404,))
def reset_password(user_id: UUID) -> dict[str, Any]:
    """Make a one-time password, shown this once, in place of the user's. It is good for a week, to set another."""
    shown = passwords.make_one_time_password()
    kept = token_grants.hash_password(shown)
    with transaction() as session:
        user = _lock_user(session, user_id)
        users.set_password(session, user, kept, one_time=True)
        audit.record(session, "users.password_reset", f"user:{user_id}")
        session.flush()
        return {**UserSchema().dump(user), "id": user.id, "password": shown}


@blueprint.delete("/admin/users/<uuid:user_id>")
@blueprint.documented(scope="admin", replies={204: Reply(about="Done.")}, errors=(404, 409))
def delete_user(user_id: UUID) -> None:
    """Delete a user with all log-ins. Keys that it made are the account's, and stay."""
    _refuse_own_user(user_id)
    with transaction() as session:
        if users.delete_user(session, user_id) is None:
            raise NotFound("There is no such user.")
        audit.record(session, "users.deleted", f"user:{user_id}")


def _create_user(
    session: Session, account_id: UUID, wanted: dict[str, Any], kept: str, shown: str | None
) -> StoredResponse:
    if not operator_queries.account_exists(session, account_id):
        raise NotFound("There is no such account.")
    name = wanted["username"].lower()
    user = users.create_user(session, account_id, name, kept, wanted["scopes"], one_time=shown is not None)
    if user is None:
        raise Conflict("There is a user of this name.")
    audit.record(session, "users.created", f"user:{user.id}")
    return StoredResponse(201, {**UserSchema().dump(user), "password": shown})


def _lock_user(session: Session, user_id: UUID) -> User:
    user = users.lock_user(session, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _request_fingerprint() -> bytes:
    """Return what is asked for, to compare it with what was asked before: of the password only what cannot be tried out.

    A plain hash of all would be kept for a day, and be quicker to guess at than Argon2id.
    """
    asked = dict(json_body())
    if isinstance(password := asked.get("password"), str):
        keyed = "".join(config().signing_secrets()[:1]).encode() or config().database_url.encode()
        asked["password"] = hmac.new(
            keyed, password.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
    return canonical_json(asked)


def _without_password(answer: StoredResponse) -> StoredResponse:
    return replace(answer, body={**answer.body, "password": None})


def _refuse_own_user(user_id: UUID) -> None:
    if caller().actor == f"user:{user_id}":
        raise Conflict("Nobody shuts themselves out. Another operator can.")
