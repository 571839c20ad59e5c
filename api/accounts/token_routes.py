"""Routes of /v1/auth: log in, refresh and revoke."""

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

blueprint = Resource("auth", "Access tokens, granted for a password or an API key, and valid for 15 minutes.")
_GRANTS = {
    "password": token_grants.grant_by_password,
    "client_credentials": token_grants.grant_by_key,
    "refresh_token": token_grants.grant_by_refresh_token,
}


@blueprint.post("/auth/token")
@blueprint.documented(
    public=True,
    accepts_basic=True,
    body=oauth.body(TokenRequestSchema),
    replies={200: TokensSchema},
    errors=(401, 501),
)
def create_tokens() -> dict[str, Any]:
    """Log in with a user's password or an API key; the response has an access token and a refresh token."""
    form = oauth.read_request(TokenRequestSchema)
    grant = _GRANTS.get(form["grant_type"])
    if grant is None:
        raise oauth.UnsupportedGrantType(f"grant_type must be one of {', '.join(_GRANTS)}.")
    return grant(form)


@blueprint.post("/auth/refresh")
@blueprint.documented(
    public=True,
    accepts_basic=True,
    body=oauth.body(RefreshRequestSchema),
    replies={200: TokensSchema},
    errors=(501,),
)
def refresh_tokens() -> dict[str, Any]:
    """Exchange a refresh token for new tokens. It can be used once; using it again ends the log-in."""
    return token_grants.grant_by_refresh_token(oauth.read_request(RefreshRequestSchema))


@blueprint.post("/auth/revoke")
@blueprint.documented(
    public=True, accepts_basic=True, body=oauth.body(RevocationSchema), replies={200: Reply()}
)
def revoke_token() -> Response:
    """End a log-in by any of its tokens, at once. An unknown token is no error."""
    token_grants.revoke_login(oauth.read_request(RevocationSchema)["token"])
    return jsonify({})
