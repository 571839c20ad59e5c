"""How OAuth 2.0 (RFC 6749) asks and is refused: forms or JSON, a client in HTTP Basic, an `error` beside the problem.

It reads and refuses; whom it believes is decided elsewhere.
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
    """A request for tokens is refused. OAuth's own word for why is its `error`."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid-request"
    title: ClassVar[str] = "Not a request for tokens"

    def problem(self) -> dict[str, Any]:
        """Add OAuth's word to the problem document."""
        return {**super().problem(), "error": self.code.replace("-", "_")}


class InvalidRequest(OAuthError):
    """Something is missing, given twice, or not what it should be. `args[1]` is a tuple of (JSON pointer, detail) pairs."""

    def problem(self) -> dict[str, Any]:
        """Add the list of places to the problem document."""
        places = self.args[1] if len(self.args) > 1 else ()
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in places]
        return {**super().problem(), "errors": errors}


class InvalidClient(OAuthError):
    """The API key is unknown or revoked."""

    status, code, title = 401, "invalid-client", "Unknown key"

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": BASIC}


class InvalidGrant(OAuthError):
    """The name, the password or the refresh token is wrong, or not good any more."""

    code, title = "invalid-grant", "Not accepted"


class PasswordChangeNeeded(OAuthError):
    """A one-time password is good for setting another: send it again, with `new_password`."""

    code, title = "password-change-needed", "Set a password"

    def problem(self) -> dict[str, Any]:
        """Use the word that OAuth has for it."""
        return {**super().problem(), "error": "invalid_grant"}


class InvalidScope(OAuthError):
    """A scope is asked for that is unknown, or not held."""

    code, title = "invalid-scope", "Not such a scope"


class UnsupportedGrantType(OAuthError):
    """There is no such `grant_type` here."""

    code, title = "unsupported-grant-type", "Unsupported grant"


class UnsupportedTokenType(OAuthError):
    """What is to be revoked is no token but a key: delete it among the keys."""

    code, title = "unsupported-token-type", "Not a token"


def body(schema: type[Schema]) -> dict[str, Any]:
    """Describe a body that is a form or JSON."""
    return {"required": True, "content": {kind: {"schema": schema} for kind in (FORM, JSON)}}


def read_request(schema: type[Schema]) -> dict[str, Any]:
    """Return what the request's body gives, or raise Malformed."""
    _check_query()
    if (
        request.mimetype not in (FORM, JSON)
        or request.headers.get("Content-Encoding", "identity") != "identity"
    ):
        raise UnsupportedMediaType("The body must be a form, or JSON.")
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


def read_client(given: dict[str, Any]) -> tuple[str, str]:
    """Return the client's id and secret, by HTTP Basic or in the body; or raise Malformed or WrongClient."""
    header = request.headers.get("Authorization")
    in_body = [given.get("client_id"), given.get("client_secret")]
    if header is None:
        if None in in_body:
            raise InvalidRequest("client_id and client_secret are needed: an API key's id, and the key.")
        return str(in_body[0]), str(in_body[1])
    if in_body[1] is not None:
        raise InvalidRequest("The client's secret is given twice: by HTTP Basic and in the body.")
    found = request.authorization
    if found is None or found.type != "basic" or found.username is None or found.password is None:
        raise InvalidClient("The client must come by HTTP Basic, or in the body.")
    # Both are form-encoded before they are put together (RFC 6749, 2.3.1).
    name, secret = unquote_plus(found.username), unquote_plus(found.password)
    if in_body[0] not in (None, name):
        raise InvalidRequest("The client's id is given twice, and differs.")
    return name, secret


def choose_scopes(asked: str | None, held: frozenset[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes asked for in a fixed order, or all that are held; or raise WrongScope."""
    if asked is None:
        return tuple(sorted(held))
    wanted = set(asked.split())
    if beyond := sorted(wanted - set(held)):
        raise InvalidScope(f"The scope {_shorten(beyond[0])} is unknown, or not held.")
    if not wanted:
        raise InvalidScope("No scope is named.")
    return tuple(sorted(wanted))


def _check_query() -> None:
    """Raise Malformed where anything stands in the address: it is logged on the way, and no place for a secret."""
    try:
        query_params.refuse_query()
    except Invalid as error:
        raise InvalidRequest("All that is asked belongs into the body.", error.places) from error


def _parse_form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
            strict_parsing=True,
        )
    except ValueError as error:
        raise InvalidRequest("The body is not a form of UTF-8.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("A field of the form is given twice.")
    return fields


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
