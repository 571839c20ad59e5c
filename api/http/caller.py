"""The caller of the current request: who it is, and the errors for a missing or unknown credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from flask import g, request

from shared.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from uuid import UUID

    from shared.accounts import Identity

REALM = 'Bearer realm="scenemill"'


class MissingScope(Forbidden):
    """The key or token lacks the scope `args[1]`."""

    @property
    def headers(self) -> dict[str, str]:
        """The challenge that names the missing scope (RFC 6750, 3.1)."""
        return {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{self.args[1]}"'}


class MissingCredentials(Unauthenticated):
    """There is no key and no token."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": REALM}


class InvalidCredentials(Unauthenticated):
    """There is a key or token, and it is unknown, expired or revoked."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}


def identity() -> Identity | None:
    """Return who is calling, or None where nobody is known."""
    return cast("Identity | None", g.get("identity"))


def caller() -> Identity:
    """Return who is calling, or raise Unauthenticated; or Unavailable where the database could not be asked."""
    if unavailable := g.get("identity_unavailable"):
        raise unavailable
    known = identity()
    if known is not None:
        return known
    if "Authorization" in request.headers:
        raise InvalidCredentials("The key or token is unknown, expired or revoked.")
    raise MissingCredentials("An API key or an access token is needed, as Authorization: Bearer …")


def account_id() -> UUID:
    """Return the caller's account."""
    return caller().account_id
