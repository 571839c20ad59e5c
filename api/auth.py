"""Authenticates callers by `Authorization: Bearer …`, an API key or an access token, and checks their scopes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Flask, g, request

from api.http.caller import MissingScope, caller
from api.http.request_context import config
from api.security import access_tokens, logins
from shared import accounts
from shared.db import autocommit_session
from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.accounts import Identity

# Anything not shaped like a key or token is refused without a query: garbage must not cost a database connection.
_KEY_HEADER = re.compile(
    rf"bearer +({accounts.PREFIX}_[0-9a-f]{{12}}_[0-9a-f]{{48}}_[0-9a-f]{{8}}) *", re.IGNORECASE
)
_TOKEN_HEADER = re.compile(r"bearer +([\w-]+\.[\w-]+\.[\w-]+) *", re.IGNORECASE | re.ASCII)


def register(app: Flask) -> None:
    """Identify the caller before every request to /v1; `check_scope` decides whether one is required."""
    app.before_request(_identify_caller)


def check_scope(scope: str | None) -> None:
    """Raise Unauthenticated unless the caller is known, and MissingScope where it lacks the scope."""
    if scope not in (None, *caller().scopes):
        raise MissingScope(f"This key or token lacks the scope {scope}.", scope)


def _identify_caller() -> None:
    g.identity = None
    if not request.endpoint or not request.path.startswith("/v1/"):
        return  # a probe must answer even when the database does not
    try:
        g.identity = _find_identity(request.headers.get("Authorization", ""))
    except Unavailable as error:
        # Raised later, by `caller`: after rate limiting, so that these requests count too.
        g.identity_unavailable = error


def _find_identity(header: str) -> Identity | None:
    if match := _KEY_HEADER.fullmatch(header):
        # Autocommit: a transaction around a single read costs two more round trips on every request.
        with autocommit_session() as session:
            return accounts.authenticate_key(session, match[1])
    if (match := _TOKEN_HEADER.fullmatch(header)) and (
        claims := access_tokens.verify(match[1], config().signing_secrets())
    ):
        with autocommit_session() as session:
            return logins.identify(session, claims)
    return None
