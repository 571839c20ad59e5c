"""Tokens: given for a password, a key or a refresh token, and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify

from api.accounts import oauth, token_grants
from api.openapi.resource import Reply, Resource
from api.schemas.logins import (
    RefreshRequestSchema,
    RevocationSchema,
    TokenRequestSchema,
    TokensSchema,
)

if TYPE_CHECKING:
    from flask import Response

blueprint = Resource(
    "auth", "Tokens, by a password or a key. They open what a key opens, for a quarter of an hour."
)
_GRANTS = {
    "password": token_grants.grant_by_password,
    "client_credentials": token_grants.grant_by_key,
    "refresh_token": token_grants.grant_by_refresh_token,
}


@blueprint.post("/auth/token")
@blueprint.documented(
    public=True, body=oauth.body(TokenRequestSchema), replies={200: TokensSchema}, errors=(401, 501)
)
def create_tokens() -> dict[str, Any]:
    """Log in: change a user's password, or an API key, for an access token and a refresh token."""
    given = oauth.read_request(TokenRequestSchema)
    grant = _GRANTS.get(given["grant_type"])
    if grant is None:
        raise oauth.UnsupportedGrantType(f"grant_type is one of {', '.join(_GRANTS)}.")
    return grant(given)


@blueprint.post("/auth/refresh")
@blueprint.documented(
    public=True, body=oauth.body(RefreshRequestSchema), replies={200: TokensSchema}, errors=(501,)
)
def refresh_tokens() -> dict[str, Any]:
    """Change a refresh token for new tokens. It is used up; used again, it ends the whole log-in."""
    return token_grants.grant_by_refresh_token(oauth.read_request(RefreshRequestSchema))


@blueprint.post("/auth/revoke")
@blueprint.documented(public=True, body=oauth.body(RevocationSchema), replies={200: Reply()})
def revoke_token() -> Response:
    """End a log-in by any of its tokens: at once, none of them opens anything. An unknown token is no error."""
    token_grants.revoke_login(oauth.read_request(RevocationSchema)["token"])
    return jsonify({})
