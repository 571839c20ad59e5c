"""Operators' routes for users: list, create, change, reset the password, delete."""

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

blueprint = Resource("users", "Users, who log in with a password; for operators.")


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
def create_user(values: dict[str, Any], account_id: UUID) -> Response:
    """Create a user of an account. Without a password it gets a one-time password, shown in this response alone."""
    password = values.get("password")
    one_time_password = None if password else passwords.make_one_time_password()
    password_hash = token_grants.hash_password(password or one_time_password or "")
    with transaction() as session:
        answer = idempotency.run_once(
            session,
            _request_fingerprint(),
            lambda: _create_user(session, account_id, values, password_hash, one_time_password),
            redact=_without_password,
        )
    return idempotency.to_response(answer)


@blueprint.put("/admin/users/<uuid:user_id>")
@blueprint.documented(scope="admin", json=UserChangeSchema, replies={200: UserSchema}, errors=(404, 409))
def change_user(values: dict[str, Any], user_id: UUID) -> User:
    """Set a user's scopes or password, disable or enable it; absent members stay unchanged."""
    password_hash = token_grants.hash_password(values["password"]) if "password" in values else None
    if values.get("disabled"):
        _refuse_own_user(user_id)
    with transaction() as session:
        user = _lock_user(session, user_id)
        if password_hash:
            users.set_password(session, user, password_hash, one_time=False)
        users.update_user(session, user, values)
        audit.record(session, "users.changed", f"user:{user_id}")
        return user


@blueprint.post("/admin/users/<uuid:user_id>/one-time-password")
@blueprint.documented(scope="admin", replies={200: NewPasswordUserSchema}, errors=(404,))
def reset_password(user_id: UUID) -> dict[str, Any]:
    """Replace a user's password by a one-time password, shown in this response alone and valid for a week."""
    one_time_password = passwords.make_one_time_password()
    password_hash = token_grants.hash_password(one_time_password)
    with transaction() as session:
        user = _lock_user(session, user_id)
        users.set_password(session, user, password_hash, one_time=True)
        audit.record(session, "users.password_reset", f"user:{user_id}")
        # The UPDATE must run before the user is shown, or its new `one_time_until` would be missing.
        session.flush()
        return {**UserSchema().dump(user), "id": user.id, "password": one_time_password}


@blueprint.delete("/admin/users/<uuid:user_id>")
@blueprint.documented(scope="admin", replies={204: Reply(about="Done.")}, errors=(404, 409))
def delete_user(user_id: UUID) -> None:
    """Delete a user and end all of its log-ins. Keys that it created belong to the account, and stay."""
    _refuse_own_user(user_id)
    with transaction() as session:
        if users.delete_user(session, user_id) is None:
            raise NotFound("There is no such user.")
        audit.record(session, "users.deleted", f"user:{user_id}")


def _create_user(
    session: Session,
    account_id: UUID,
    values: dict[str, Any],
    password_hash: str,
    one_time_password: str | None,
) -> StoredResponse:
    if not operator_queries.account_exists(session, account_id):
        raise NotFound("There is no such account.")
    name = values["username"].lower()
    user = users.create_user(
        session, account_id, name, password_hash, values["scopes"], one_time=one_time_password is not None
    )
    if user is None:
        raise Conflict("A user with this name exists. Choose another name.")
    audit.record(session, "users.created", f"user:{user.id}")
    return StoredResponse(201, {**UserSchema().dump(user), "password": one_time_password})


def _lock_user(session: Session, user_id: UUID) -> User:
    user = users.lock_user(session, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _request_fingerprint() -> bytes:
    """Return what identifies the request for its Idempotency-Key, with a keyed hash in place of the password.

    A plain hash would be stored for a day, and could be brute-forced far faster than Argon2id.
    """
    request_body = dict(json_body())
    if isinstance(password := request_body.get("password"), str):
        hmac_key = "".join(config().signing_secrets()[:1]).encode() or config().database_url.encode()
        request_body["password"] = hmac.new(
            hmac_key, password.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
    return canonical_json(request_body)


def _without_password(answer: StoredResponse) -> StoredResponse:
    return replace(answer, body={**answer.body, "password": None})


def _refuse_own_user(user_id: UUID) -> None:
    if caller().actor == f"user:{user_id}":
        raise Conflict("You cannot disable or delete your own user. Ask another operator.")
