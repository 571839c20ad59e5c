"""The account: its usage, its keys and its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from scenemill.calls.reading import nothing, one, whole
from scenemill.core import bodies, requests
from scenemill.core.steps import Request
from scenemill.types.accounts import ApiKey, NewApiKey, TokenResponse, UsageReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenemill.core.steps import Flow
    from scenemill.types.accounts import Scope, TokenRequest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def usage(*, months: int | None = None) -> Flow[UsageReport]:
    """Return what the account has used in the last months, what it stores, and what it may."""
    return (yield from one(UsageReport, requests.get("/v1/usage", months=months)))


def keys() -> Flow[tuple[ApiKey, ...]]:
    """Return the account's API keys, revoked ones too, without their secrets."""
    return (yield from whole(ApiKey, "/v1/api-keys"))


def create_key(name: str, scopes: Sequence[Scope], *, idempotency_key: str | None = None) -> Flow[NewApiKey]:
    """Make an API key, and return it with its secret, which is shown this once."""
    body = requests.encoded({"name": name, "scopes": list(scopes)})
    return (yield from one(NewApiKey, requests.create("/v1/api-keys", body, idempotency_key)))


def revoke_key(key_id: str) -> Flow[None]:
    """Revoke an API key and end what was logged in by it."""
    yield from nothing(requests.delete(requests.path("/v1/api-keys/{}", key_id)))


def create_token(grant: TokenRequest | Mapping[str, str]) -> Flow[TokenResponse]:
    """Log in and return tokens. `by_password` and `by_key` make a grant; `TokenAuth` renews its tokens by itself."""
    return (yield from one(TokenResponse, _form("token", cast("Mapping[str, str]", grant))))


def refresh_token(refresh_token: str, *, scope: str | None = None) -> Flow[TokenResponse]:
    """Change a refresh token for new tokens. It is good for one use: a second one ends the log-in."""
    fields = requests.given(refresh_token=refresh_token, scope=scope)
    return (yield from one(TokenResponse, _form("refresh", fields)))


def revoke_token(token: str, *, token_type_hint: str | None = None) -> Flow[None]:
    """End the log-in that an access or refresh token belongs to."""
    yield from nothing(_form("revoke", requests.given(token=token, token_type_hint=token_type_hint)))


def _form(what: str, fields: Mapping[str, str]) -> Request:
    return Request(
        method="POST", path=f"/v1/auth/{what}", headers=FORM, body=bodies.form(fields), anonymous=True
    )
