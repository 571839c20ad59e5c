"""Who is calling, and what they may do. A key or token travels in `Authorization: Bearer …`, and nowhere else."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar, cast

from flask import Flask, g, request

from api.accounts import access_tokens, logins
from api.http import query_params
from api.http.request_context import config
from api.openapi import document
from shared import accounts
from shared.db import autocommit_session
from shared.errors import Forbidden, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from shared.accounts import Identity

P = ParamSpec("P")
R = TypeVar("R")
REALM = 'Bearer realm="scenemill"'
# What is not even shaped like a key, nor signed like a token, is refused without asking the database.
_KEY_HEADER = re.compile(
    rf"bearer +({accounts.PREFIX}_[0-9a-f]{{12}}_[0-9a-f]{{48}}_[0-9a-f]{{8}}) *", re.IGNORECASE
)
_TOKEN_HEADER = re.compile(r"bearer +([\w-]+\.[\w-]+\.[\w-]+) *", re.IGNORECASE | re.ASCII)


class MissingScope(Forbidden):
    """The key or token lacks the scope `args[1]`."""

    @property
    def headers(self) -> dict[str, str]:
        """What tells a machine the same."""
        return {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{self.args[1]}"'}


class MissingCredentials(Unauthenticated):
    """There is no key and no token."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": REALM}


class InvalidCredentials(Unauthenticated):
    """There is a key or token, and it opens nothing."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}


def register(app: Flask) -> None:
    """Recognise the caller of every request to /v1. Whether one is needed is said by `requires`."""
    app.before_request(_identify_caller)


def _identify_caller() -> None:
    g.identity = None
    if not request.endpoint or not request.path.startswith("/v1/"):
        return  # a probe must not hang on what it asks about
    try:
        g.identity = _find_identity(request.headers.get("Authorization", ""))
    except Unavailable as away:
        g.away = away  # for whom it matters who is calling; the request is counted first, as any other


def _find_identity(header: str) -> Identity | None:
    if match := _KEY_HEADER.fullmatch(header):
        with autocommit_session() as session:
            return accounts.authenticate_key(session, match[1])
    if (match := _TOKEN_HEADER.fullmatch(header)) and (
        claims := access_tokens.verify(match[1], config().signing_secrets())
    ):
        with autocommit_session() as session:
            return logins.identify(session, claims)
    return None


def identity() -> Identity | None:
    """Return who is calling, or None."""
    return cast("Identity | None", g.get("identity"))


def caller() -> Identity:
    """Return who is calling, or raise Unauthenticated; or Unavailable where that cannot be told now."""
    known = identity()
    if away := g.get("away"):
        raise away
    if known is None and "Authorization" in request.headers:
        raise InvalidCredentials("The key or token is unknown, expired or revoked.")
    if known is None:
        raise MissingCredentials("An API key or an access token is needed, as Authorization: Bearer …")
    return known


def account_id() -> UUID:
    """Return the caller's account."""
    return caller().account_id


def requires(scope: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers with this scope through, or all whom we know. It stands above all that reads the request.

    A route that declares no parameters takes none: the same is so everywhere, and only who may ask is told.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        bare = not query_params.declares_query(view)

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            scopes = caller().scopes
            if scope and scope not in scopes:
                raise MissingScope(f"This key or token lacks the scope {scope}.", scope)
            if bare:
                query_params.refuse_query()
            return view(*args, **kwargs)

        return document(guarded, scope=scope)

    return decorate
