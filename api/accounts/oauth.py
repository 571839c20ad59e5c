"""OAuth 2.0 (RFC 6749) requests and errors: form or JSON bodies, clients by HTTP Basic, `error` codes in problem documents.

Credentials are verified elsewhere, in `token_grants`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote_plus

from flask import request
from marshmallow import ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from api.http import bodies, query_params
from shared.errors import BadRequest, Invalid, ServiceError
from shared.script.schema.loading import as_invalid, parse_strict_json

if TYPE_CHECKING:
    from marshmallow import Schema

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MAX_BODY = 16 * 1024
MAX_FIELDS = 50
BASIC = 'Basic realm="scenemill", charset="UTF-8"'


class OAuthError(ServiceError):
    """A request for tokens is refused. `error` is OAuth's own code."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid-request"
    title: ClassVar[str] = "Invalid token request"

    def problem(self) -> dict[str, Any]:
        """Add OAuth's error code to the problem document."""
        return {**super().problem(), "error": self.code.replace("-", "_")}


class InvalidRequest(OAuthError):
    """A member is missing, repeated or invalid. `args[1]` is a tuple of (JSON pointer, detail) pairs."""

    def problem(self) -> dict[str, Any]:
        """Add the errors with their pointers to the problem document."""
        places = self.args[1] if len(self.args) > 1 else ()
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in places]
        return {**super().problem(), "errors": errors}


class InvalidClient(OAuthError):
    """The API key is unknown or revoked."""

    status, code, title = 401, "invalid-client", "Unknown key"

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": BASIC}


class InvalidGrant(OAuthError):
    """The user name, the password or the refresh token is wrong or expired."""

    code, title = "invalid-grant", "Not accepted"


class PasswordChangeNeeded(OAuthError):
    """A one-time password must be replaced: send it again, with `new_password`."""

    code, title = "password-change-needed", "Password change required"

    def problem(self) -> dict[str, Any]:
        """Use OAuth's nearest error code."""
        return {**super().problem(), "error": "invalid_grant"}


class InvalidScope(OAuthError):
    """A requested scope is unknown or not granted."""

    code, title = "invalid-scope", "Invalid scope"


class UnsupportedGrantType(OAuthError):
    """The `grant_type` is not supported."""

    code, title = "unsupported-grant-type", "Unsupported grant"


class UnsupportedTokenType(OAuthError):
    """An API key is no token and cannot be revoked here; use DELETE /v1/api-keys/{id}."""

    code, title = "unsupported-token-type", "Not a token"


def body(schema: type[Schema]) -> dict[str, Any]:
    """Describe a body that is a form or JSON."""
    return {"required": True, "content": {kind: {"schema": schema} for kind in (FORM, JSON)}}


def read_request(schema: type[Schema]) -> dict[str, Any]:
    """Return the members of the request's body; raise InvalidRequest or UnsupportedMediaType."""
    _check_query()
    if (
        request.mimetype not in (FORM, JSON)
        or request.headers.get("Content-Encoding", "identity") != "identity"
    ):
        raise UnsupportedMediaType(
            "The body must be a form (application/x-www-form-urlencoded) or JSON (application/json)."
        )
    raw = bodies.read_all(MAX_BODY)
    try:
        loaded: dict[str, Any] = schema().load(
            parse_strict_json(raw) if request.mimetype == JSON else _parse_form(raw)
        )
    except BadRequest as error:
        raise InvalidRequest(error.detail) from error
    except ValidationError as error:
        raise InvalidRequest(*as_invalid(error).args) from error
    return loaded


def read_client(form: dict[str, Any]) -> tuple[str, str]:
    """Return the client's id and secret, from HTTP Basic or the body; raise InvalidRequest or InvalidClient."""
    header = request.headers.get("Authorization")
    in_body = [form.get("client_id"), form.get("client_secret")]
    if header is None:
        if None in in_body:
            raise InvalidRequest("client_id and client_secret are required: an API key's id, and the key.")
        return str(in_body[0]), str(in_body[1])
    if in_body[1] is not None:
        raise InvalidRequest("Send the client's secret once: by HTTP Basic or in the body.")
    credentials = request.authorization
    if (
        credentials is None
        or credentials.type != "basic"
        or credentials.username is None
        or credentials.password is None
    ):
        raise InvalidClient("Send the client's credentials by HTTP Basic or in the body.")
    # Both are form-encoded before they are joined (RFC 6749, 2.3.1): without decoding, some secrets would never match.
    name, secret = unquote_plus(credentials.username), unquote_plus(credentials.password)
    if in_body[0] not in (None, name):
        raise InvalidRequest("client_id in the body differs from the user name in HTTP Basic. Send it once.")
    return name, secret


def choose_scopes(requested: str | None, held: frozenset[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return the requested scopes, sorted, or by default all held ones; raise InvalidScope."""
    if requested is None:
        return tuple(sorted(held))
    scopes = set(requested.split())
    if excess := sorted(scopes - set(held)):
        raise InvalidScope(
            f"The scope {_shorten(excess[0])} is unknown, or this user or key does not have it."
        )
    if not scopes:
        raise InvalidScope("scope must name at least one scope, or be left out.")
    return tuple(sorted(scopes))


def _check_query() -> None:
    """Raise InvalidRequest for any query parameter: URLs are logged by proxies, and must not hold secrets."""
    try:
        query_params.refuse_query()
    except Invalid as error:
        raise InvalidRequest("Send all parameters in the body, not in the URL.", error.places) from error


def _parse_form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            # A form is ASCII with escapes; other bytes have no defined meaning.
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
            strict_parsing=True,
        )
    except ValueError as error:
        raise InvalidRequest("The body is not a valid form in UTF-8.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("A field of the form is repeated. Send each once.")
    return fields


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
