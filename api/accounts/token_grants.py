"""Grants tokens for a password, an API key or a refresh token, and revokes log-ins. Errors never say which part was wrong.

Passwords are hashed outside of transactions, in threads, a few at a time. Attempts are counted and committed before, so that
parallel guesses count too.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flask import request

from api import audit
from api.accounts import oauth
from api.http.request_context import config
from api.schemas.logins import NewPassword
from api.security import access_tokens, login_throttle, logins
from api.security.logins import Owner, Renewal
from api.server import offload
from shared import accounts
from shared.db import transaction
from shared.errors import RateLimitExceeded, ServiceError, Unavailable
from shared.metrics import logins as counted
from shared.security import passwords, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from api.security.login_throttle import Bucket
    from api.security.logins import Family
    from shared.security.users import Candidate

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

MAX_HASHES = 4  # concurrent hashes per process: each takes 19 MiB and a core
HASH_WAIT_SECONDS = 5.0  # that a log-in waits for a slot
_hash_slots = threading.BoundedSemaphore(MAX_HASHES)
_KEY_ID, _SECRET = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{48}")
_KEY = re.compile(rf"{accounts.PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{48}})_[0-9a-f]{{8}}")
_NO_USER = uuid.UUID(int=0)
_NOT_ACCEPTED = "The user name or the password is wrong or expired."


class TokensNotConfigured(ServiceError):
    """The server has no secret to sign tokens with. Use an API key."""

    status, code, title = 501, "no-tokens", "Tokens are not configured"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in attempt by password, and the buckets that it was counted in."""

    buckets: tuple[Bucket, ...]
    candidate: Candidate | None
    password: str
    scope: str | None


def grant_by_password(form: dict[str, Any]) -> dict[str, Any]:
    """Log a user in, setting `new_password` if it is given; raise OAuthError or TooManyLoginAttempts."""
    _signing_secret()
    if form.get("username") is None or form.get("password") is None:
        raise oauth.InvalidRequest("username and password are required.")
    new = form.get("new_password")
    _check_new_password(new, form["password"])
    attempt = _count_attempt(form["username"].lower(), form["password"], form.get("scope"))
    password_hash = attempt.candidate.password_hash if attempt.candidate else None
    # Also for unknown users: skipping the hash would tell by its time that the name is unknown.
    is_valid = _run_hash(passwords.verify_password, password_hash, attempt.password)
    new_hash = hash_password(new) if is_valid and new is not None else None
    with transaction() as session:
        outcome = _log_in(session, attempt, new_hash) if is_valid else oauth.InvalidGrant(_NOT_ACCEPTED)
        if not isinstance(outcome, oauth.InvalidGrant):
            login_throttle.refund_attempt(session, attempt.buckets)
        elif attempt.candidate:
            who = f"user:{attempt.candidate.user_id}"
            audit.record_for(session, attempt.candidate.account_id, "logins.refused", who, None)
        else:  # No account to record it in: without any write the commit would be faster, and tell that the name is unknown.
            login_throttle.rewrite_bucket(session, attempt.buckets)
    return _token_response("password", outcome)


def grant_by_key(form: dict[str, Any]) -> dict[str, Any]:
    """Log in by an API key; raise OAuthError or TooManyLoginAttempts."""
    _signing_secret()
    key_id, secret = oauth.read_client(form)
    # Its 192 random bits cannot be guessed, so attempts are limited by address alone: others must not lock the key out.
    buckets = (login_throttle.address_bucket(_client_address()),)
    with transaction() as session:
        # Committed on its own, before the key is checked: a rollback must not erase the attempt.
        login_throttle.count_attempt(session, buckets)
    outcome: tuple[Family, str] | ServiceError
    with transaction() as session:
        identity = _find_identity(session, key_id, secret)
        if identity is None:
            outcome = oauth.InvalidClient("The key is unknown or revoked.")
            _record_wrong_key(session, key_id)
        else:
            login_throttle.refund_attempt(session, buckets)
            owner = Owner(identity.account_id, key_id=identity.actor)
            outcome = _begin_login(session, owner, form.get("scope"), tuple(identity.scopes))
    return _token_response("client_credentials", outcome)


def grant_by_refresh_token(form: dict[str, Any]) -> dict[str, Any]:
    """Exchange a refresh token for new tokens. Reusing one ends its log-in."""
    _signing_secret()
    if form.get("refresh_token") is None:
        raise oauth.InvalidRequest("refresh_token is required.")
    with transaction() as session:
        renewal, family, refresh = logins.renew(session, form["refresh_token"])
        if family and renewal is Renewal.REUSED:
            audit.record_for(
                session, family.owner.account_id, "logins.reused", str(family.login_id), family.owner.actor
            )
        scopes = oauth.choose_scopes(form.get("scope"), family.scopes) if family and refresh else ()
    if family and refresh:
        return _token_response("refresh_token", (family, refresh), scopes)
    # Raised after the commit: a rollback would undo the end of the log-in.
    if renewal is Renewal.REUSED:
        log.warning("refresh_token_reused", extra={"login_id": str(family.login_id) if family else None})
    raise _record_refusal(
        "refresh_token",
        oauth.InvalidGrant("The refresh token is unknown, used or expired. Log in again."),
        renewal,
    )


def revoke_login(token: str) -> None:
    """End the log-in of a token. An unknown token is no error (RFC 7009)."""
    if token.startswith(f"{accounts.PREFIX}_"):
        raise oauth.UnsupportedTokenType("This is an API key. Revoke it by DELETE /v1/api-keys/{id}.")
    claims = access_tokens.verify(token, config().signing_secrets())
    with transaction() as session:
        family = logins.find_by_id(session, claims.login_id) if claims else logins.find(session, token)
        if family and logins.end(session, family.login_id):
            audit.record_for(
                session, family.owner.account_id, "logins.revoked", str(family.login_id), family.owner.actor
            )


def _count_attempt(username: str, password: str, scope: str | None) -> Attempt:
    """Count the attempt, or raise TooManyLoginAttempts. Others' guesses do not lock out a user at a known address."""
    address = _client_address()
    with transaction() as session:
        candidate = users.find_candidate(session, username)
        buckets = [login_throttle.address_bucket(address), login_throttle.pair_bucket(username, address)]
        if not logins.has_logged_in_from(
            session, candidate.user_id if candidate else _NO_USER, login_throttle.client_network(address)
        ):
            buckets.append(login_throttle.name_bucket(username))
        try:
            login_throttle.count_attempt(session, buckets)
        except RateLimitExceeded:
            counted.labels(grant="password", outcome="throttled").inc()
            raise
    return Attempt(tuple(buckets), candidate, password, scope)


def _check_new_password(new: str | None, password: str) -> None:
    """Raise InvalidRequest for a new password that is not allowed."""
    if new is None:
        return
    problem = NewPassword().problem_with(new) or (
        "Must differ from the current password." if new == password else None
    )
    if problem:
        raise oauth.InvalidRequest("The new password is not allowed.", (("#/new_password", problem),))


def _log_in(session: Session, attempt: Attempt, new_hash: str | None) -> tuple[Family, str] | ServiceError:
    """Log in a user whose password was right, unless it has changed meanwhile or must be replaced."""
    user = users.lock_user(session, attempt.candidate.user_id) if attempt.candidate else None
    if (
        user is None
        or attempt.candidate is None
        or user.password_hash != attempt.candidate.password_hash  # another log-in has changed it meanwhile
        or not users.may_log_in(session, user)
    ):
        return oauth.InvalidGrant(_NOT_ACCEPTED)
    if user.one_time_until is not None and new_hash is None:
        return oauth.PasswordChangeNeeded("This one-time password must be replaced. Send new_password too.")
    owner = Owner(user.account_id, user_id=user.id)
    if new_hash is not None:
        users.set_password(session, user, new_hash, one_time=False)
        audit.record_for(session, user.account_id, "users.password_set", owner.actor, owner.actor)
    return _begin_login(session, owner, attempt.scope, tuple(user.scopes))


def _begin_login(
    session: Session, owner: Owner, scope: str | None, held: tuple[str, ...]
) -> tuple[Family, str] | ServiceError:
    try:
        scopes = oauth.choose_scopes(scope, held)
        login_throttle.count_attempt(
            session,
            [login_throttle.logins_bucket(owner.actor)],
            "Too many log-ins. Refresh the tokens of an existing one instead.",
        )
    except ServiceError as error:
        return error
    login = logins.begin(
        session,
        owner,
        scopes,
        address=login_throttle.client_network(_client_address()),
        ttl=config().login_ttl,
    )
    audit.record_for(session, owner.account_id, "logins.begun", str(login[0].login_id), owner.actor)
    return login


def _find_identity(session: Session, key_id: str, secret: str) -> accounts.Identity | None:
    """Identify a key by its id and its secret, which may be the whole key."""
    if whole := _KEY.fullmatch(secret):
        identity = accounts.authenticate_key(session, secret)
        return identity if whole[1] == key_id else None
    if not _KEY_ID.fullmatch(key_id) or not _SECRET.fullmatch(secret):
        return None
    return accounts.authenticate_key_parts(session, key_id, secret)


def _record_wrong_key(session: Session, key_id: str) -> None:
    owner = accounts.key_owner(session, key_id) if _KEY_ID.fullmatch(key_id) else None
    if owner:
        audit.record_for(session, owner, "logins.refused", key_id, None)


def _token_response(
    grant: str, outcome: tuple[Family, str] | ServiceError, scopes: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return the token response for an outcome, or raise the error that it is."""
    if isinstance(outcome, ServiceError):
        raise _record_refusal(grant, outcome)
    family, refresh = outcome
    scopes = family.scopes if scopes is None else scopes
    # No token may outlive its log-in.
    seconds = int(min(config().token_ttl.total_seconds(), family.seconds_left))
    access = access_tokens.issue(
        family.owner.actor, family.login_id, scopes, secret=_signing_secret(), seconds=seconds
    )
    counted.labels(grant=grant, outcome="granted").inc()
    return {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": seconds,
        "refresh_token": refresh,
        "refresh_expires_in": int(family.seconds_left),
        "scope": " ".join(scopes),
    }


def _record_refusal(grant: str, error: ServiceError, renewal: Renewal | None = None) -> ServiceError:
    outcome = (
        "reused"
        if renewal is Renewal.REUSED
        else "throttled"
        if isinstance(error, RateLimitExceeded)
        else "refused"
    )
    counted.labels(grant=grant, outcome=outcome).inc()
    log.info("login_refused", extra={"grant": grant, "code": error.code, "remote": _client_address()})
    return error


def hash_password(password: str) -> str:
    """Return the hash of a new password."""
    return _run_hash(passwords.hash_password, password)


def _run_hash(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a hash in a thread; raise Unavailable where no slot is free within seconds."""
    if not _hash_slots.acquire(timeout=HASH_WAIT_SECONDS):
        raise Unavailable("Too many log-ins at the moment. Try again in a few seconds.", 2)
    try:
        return offload.run(function, *args, **kwargs)
    finally:
        _hash_slots.release()


def _signing_secret() -> str:
    """Return the secret that signs tokens, or raise TokensNotConfigured."""
    secrets = config().signing_secrets()
    if not secrets:
        raise TokensNotConfigured("Tokens are not configured on this server. Use an API key.")
    return secrets[0]


def _client_address() -> str:
    return request.remote_addr or "unknown"
