"""Log-ins: a password, a key or a refresh token is changed for tokens. Nobody is told which part of a guess was wrong.

Passwords are hashed outside of any transaction, beside the other requests, a few at a time. What is counted against
guessing is committed before.
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
from api.accounts import access_tokens, login_throttle, logins, oauth
from api.accounts.logins import Owner, Renewal
from api.http.request_context import config
from api.schemas.logins import NewPassword
from api.server import offload
from shared import accounts
from shared.db import transaction
from shared.errors import ServiceError, TooMany, Unavailable
from shared.metrics import logins as counted
from shared.security import passwords, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from api.accounts.login_throttle import Bucket
    from api.accounts.logins import Family
    from shared.security.users import Candidate

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

AT_ONCE = 4  # hashes in one process: each takes 19 MiB and a core
PATIENCE = 5.0  # seconds that a log-in waits for its turn
_hashing = threading.BoundedSemaphore(AT_ONCE)
_KEY_ID, _SECRET = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{48}")
_KEY = re.compile(rf"{accounts.PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{48}})_[0-9a-f]{{8}}")
_NOBODY = uuid.UUID(int=0)
_WRONG = "The name or the password is wrong, or not good any more."


class NoTokens(ServiceError):
    """Nothing is set up here that could sign tokens. API keys open the API."""

    status, code, title = 501, "no-tokens", "Tokens are not set up"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that is being tried with a password, and where it was counted."""

    buckets: tuple[Bucket, ...]
    candidate: Candidate | None
    password: str
    scope: str | None


def by_password(given: dict[str, Any]) -> dict[str, Any]:
    """Log a user in, and set another password where one is given; or raise what is wrong."""
    _secret()
    if given.get("username") is None or given.get("password") is None:
        raise oauth.Malformed("username and password are needed.")
    new = given.get("new_password")
    _check_new(new, given["password"])
    attempt = _admit(given["username"].lower(), given["password"], given.get("scope"))
    kept = attempt.candidate.password_hash if attempt.candidate else None
    good = _hashed(passwords.verify, kept, attempt.password)
    wanted = hashed(new) if good and new is not None else None
    with transaction() as session:
        outcome = _enter(session, attempt, wanted) if good else oauth.WrongGrant(_WRONG)
        if not isinstance(outcome, oauth.WrongGrant):
            login_throttle.give_back(session, attempt.buckets)
        elif attempt.candidate:
            who = f"user:{attempt.candidate.user_id}"
            audit.record(session, attempt.candidate.account_id, "logins.refused", who, None)
        else:  # there is nowhere to write it down, and a commit without a write would be quicker
            login_throttle.touch(session, attempt.buckets)
    return _answer("password", outcome)


def by_key(given: dict[str, Any]) -> dict[str, Any]:
    """Log the holder of an API key in, or raise what is wrong."""
    _secret()
    key_id, secret = oauth.client(given)
    # Its secret has 192 random bits and cannot be guessed: whoever tries is slowed, and the key is not closed by it.
    buckets = (login_throttle.source(_address()),)
    with transaction() as session:
        login_throttle.take(session, buckets)
    outcome: tuple[Family, str] | ServiceError
    with transaction() as session:
        identity = _identified(session, key_id, secret)
        if identity is None:
            outcome = oauth.WrongClient("The key is unknown or revoked.")
            _record_wrong_key(session, key_id)
        else:
            login_throttle.give_back(session, buckets)
            owner = Owner(identity.account_id, key_id=identity.actor)
            outcome = _begin(session, owner, given.get("scope"), tuple(identity.scopes))
    return _answer("client_credentials", outcome)


def by_refresh(given: dict[str, Any]) -> dict[str, Any]:
    """Change a refresh token for new tokens. One that was used before ends its log-in."""
    _secret()
    if given.get("refresh_token") is None:
        raise oauth.Malformed("refresh_token is needed.")
    with transaction() as session:
        how, family, refresh = logins.renew(session, given["refresh_token"])
        if family and how is Renewal.REUSED:
            audit.record(
                session, family.owner.account_id, "logins.reused", str(family.login_id), family.owner.actor
            )
        scopes = oauth.scopes(given.get("scope"), family.scopes) if family and refresh else ()
    if family and refresh:
        return _answer("refresh_token", (family, refresh), scopes)
    if how is Renewal.REUSED:
        log.warning("refresh_token_reused", extra={"login_id": str(family.login_id) if family else None})
    raise _refused(
        "refresh_token", oauth.WrongGrant("The refresh token is unknown, used or over. Log in again."), how
    )


def revoke(token: str) -> None:
    """End the log-in that a token is of. What is no token of ours is gone already."""
    if token.startswith(f"{accounts.PREFIX}_"):
        raise oauth.NoSuchToken("An API key is revoked by DELETE /v1/api-keys/{id}.")
    claims = access_tokens.read(token, config().signing_secrets())
    with transaction() as session:
        family = logins.find_by_id(session, claims.login_id) if claims else logins.find(session, token)
        if family and logins.end(session, family.login_id):
            audit.record(
                session, family.owner.account_id, "logins.revoked", str(family.login_id), family.owner.actor
            )


def _admit(username: str, password: str, scope: str | None) -> Attempt:
    """Count the attempt, or raise TooManyGuesses. Who was here before is not closed out by others' guessing."""
    address = _address()
    with transaction() as session:
        candidate = users.candidate(session, username)
        buckets = [login_throttle.source(address), login_throttle.pair(username, address)]
        if not logins.is_known(
            session, candidate.user_id if candidate else _NOBODY, login_throttle.network(address)
        ):
            buckets.append(login_throttle.name(username))
        try:
            login_throttle.take(session, buckets)
        except TooMany:
            counted.labels(grant="password", outcome="throttled").inc()
            raise
    return Attempt(tuple(buckets), candidate, password, scope)


def _check_new(new: str | None, password: str) -> None:
    """Raise Malformed for a password that cannot be set."""
    if new is None:
        return
    problem = NewPassword().problem_with(new) or ("Must be another one." if new == password else None)
    if problem:
        raise oauth.Malformed("The new password cannot be set.", (("#/new_password", problem),))


def _enter(session: Session, attempt: Attempt, wanted: str | None) -> tuple[Family, str] | ServiceError:
    """Begin the log-in of whom the password was right for, unless something changed or is missing."""
    user = users.locked(session, attempt.candidate.user_id) if attempt.candidate else None
    if (
        user is None
        or attempt.candidate is None
        or user.password_hash != attempt.candidate.password_hash  # another log-in has set another meanwhile
        or not users.may_log_in(session, user)
    ):
        return oauth.WrongGrant(_WRONG)
    if user.one_time_until is not None and wanted is None:
        return oauth.PasswordChangeNeeded("This password is good for setting another: send new_password too.")
    owner = Owner(user.account_id, user_id=user.id)
    if wanted is not None:
        users.set_password(session, user, wanted, one_time=False)
        audit.record(session, user.account_id, "users.password_set", owner.actor, owner.actor)
    return _begin(session, owner, attempt.scope, tuple(user.scopes))


def _begin(
    session: Session, owner: Owner, scope: str | None, held: tuple[str, ...]
) -> tuple[Family, str] | ServiceError:
    try:
        scopes = oauth.scopes(scope, held)
        login_throttle.take(
            session,
            [login_throttle.issued(owner.actor)],
            "Too many log-ins. Renew the tokens of one instead.",
        )
    except ServiceError as error:
        return error
    begun = logins.begin(
        session, owner, scopes, address=login_throttle.network(_address()), ttl=config().login_ttl
    )
    audit.record(session, owner.account_id, "logins.begun", str(begun[0].login_id), owner.actor)
    return begun


def _identified(session: Session, key_id: str, secret: str) -> accounts.Identity | None:
    """Recognise a key by its id and its secret, which may be the whole key."""
    if whole := _KEY.fullmatch(secret):
        found = accounts.identify(session, secret)
        return found if whole[1] == key_id else None
    if not _KEY_ID.fullmatch(key_id) or not _SECRET.fullmatch(secret):
        return None
    return accounts.identify_parts(session, key_id, secret)


def _record_wrong_key(session: Session, key_id: str) -> None:
    owner = accounts.owner_of(session, key_id) if _KEY_ID.fullmatch(key_id) else None
    if owner:
        audit.record(session, owner, "logins.refused", key_id, None)


def _answer(
    grant: str, outcome: tuple[Family, str] | ServiceError, scopes: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return what a client gets for what has come of its request, or raise it."""
    if isinstance(outcome, ServiceError):
        raise _refused(grant, outcome)
    family, refresh = outcome
    scopes = family.scopes if scopes is None else scopes
    seconds = int(min(config().token_ttl.total_seconds(), family.seconds_left))
    access = access_tokens.issue(
        family.owner.actor, family.login_id, scopes, secret=_secret(), seconds=seconds
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


def _refused(grant: str, error: ServiceError, how: Renewal | None = None) -> ServiceError:
    outcome = "reused" if how is Renewal.REUSED else "throttled" if isinstance(error, TooMany) else "refused"
    counted.labels(grant=grant, outcome=outcome).inc()
    log.info("login_refused", extra={"grant": grant, "code": error.code, "remote": _address()})
    return error


def hashed(password: str) -> str:
    """Return what is kept of a password that is to be set."""
    return _hashed(passwords.hashed, password)


def _hashed(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Hash beside the other requests, or raise Unavailable where too many wait for that already."""
    if not _hashing.acquire(timeout=PATIENCE):
        raise Unavailable("Too many log-ins are under way. Try again shortly.", 2)
    try:
        return offload.run(function, *args, **kwargs)
    finally:
        _hashing.release()


def _secret() -> str:
    """Return what signs tokens, or raise NoTokens."""
    found = config().signing_secrets()
    if not found:
        raise NoTokens("Tokens are not set up here. Use an API key.")
    return found[0]


def _address() -> str:
    return request.remote_addr or "unknown"
