"""Signs and verifies access tokens: short-lived JWTs that name a log-in. Pure; nothing is looked up.

The header is a constant. A token whose header differs by one byte is refused without parsing it, so that it cannot choose
an algorithm or a key.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from collections.abc import Sequence

ALGORITHM = "HS256"
TYPE = "at+jwt"  # RFC 9068
ISSUER = AUDIENCE = "scenemill"
MAX_LENGTH = 2048  # characters
REQUIRED = ("exp", "iat", "iss", "aud", "sub", "jti")
_OPTIONS: Any = {"require": list(REQUIRED), "verify_exp": False, "verify_iat": False}
# Unpadded base64url with a signature of 32 bytes: a lenient decoder would accept variants of the same token.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_SKEW = 60  # seconds that the clock of another machine may be ahead


@dataclass(frozen=True, slots=True)
class Claims:
    """The verified claims of a token: its subject, log-in and scopes."""

    subject: str
    login_id: uuid.UUID
    token_id: str
    scopes: frozenset[str]
    expires_at: int


def issue(
    subject: str,
    login_id: uuid.UUID,
    scopes: Sequence[str],
    *,
    secret: str,
    seconds: float,
    now: float | None = None,
) -> str:
    """Return a signed token that expires in so many seconds."""
    issued = int(time.time() if now is None else now)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "jti": uuid.uuid4().hex,
        "iat": issued,
        "exp": issued + int(seconds),
        "sid": login_id.hex,
        "scope": " ".join(scopes),
    }
    return jwt.encode(claims, secret, ALGORITHM, headers={"typ": TYPE})


def verify(token: str, secrets: Sequence[str], *, now: float | None = None) -> Claims | None:
    """Return the claims of a valid token that one of the secrets signed, or None."""
    if len(token) > MAX_LENGTH or not _SHAPE.fullmatch(token) or token.partition(".")[0] != _HEADER:
        return None
    for secret in secrets:
        try:
            payload = jwt.decode(
                token, secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
            )
        except jwt.InvalidSignatureError:
            continue  # the former secret may have signed it
        except jwt.InvalidTokenError:
            return None
        return _claims(payload, time.time() if now is None else now)
    return None


def _claims(payload: dict[str, Any], now: float) -> Claims | None:
    """Return the claims, or None where one has the wrong type, or the token is expired or from the future."""
    texts = [payload.get(name) for name in ("sub", "jti", "sid", "scope")]
    if not all(isinstance(text, str) for text in texts):
        return None
    times = (payload["iat"], payload["exp"])
    if not all(type(moment) is int for moment in times) or not times[0] - _SKEW <= now < times[1]:
        return None
    try:
        login_id = uuid.UUID(hex=payload["sid"])
    except ValueError:
        return None
    return Claims(payload["sub"], login_id, payload["jti"], frozenset(payload["scope"].split()), times[1])


def _header() -> str:
    return jwt.encode({}, "x" * 32, ALGORITHM, headers={"typ": TYPE}).partition(".")[0]


_HEADER = _header()
