"""Access tokens: short-lived JWTs that name a log-in. Pure: signed and read here, and nothing is looked up.

The header is a constant, and a token whose header differs by one byte is none: what it says of algorithms, keys and where
to fetch them is never even parsed.
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
# Base64 without padding, and a signature of 32 bytes: what a lenient decoder passes over is no token either.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_SKEW = 60  # seconds that another machine of ours may be ahead


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: whose it is, by which log-in, and what of that log-in's scopes it carries."""

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
    """Return a signed token that is good for so many seconds."""
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
    """Return what a token says that one of our secrets has signed and whose time is not over, or None."""
    if len(token) > MAX_LENGTH or not _SHAPE.fullmatch(token) or token.partition(".")[0] != _HEADER:
        return None
    for secret in secrets:
        try:
            said = jwt.decode(
                token, secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
            )
        except jwt.InvalidSignatureError:
            continue  # another secret may have signed it
        except jwt.InvalidTokenError:
            return None
        return _claims(said, time.time() if now is None else now)
    return None


def _claims(said: dict[str, Any], now: float) -> Claims | None:
    """Return the claims, if each is of its kind and the token is neither over nor from the future."""
    texts = [said.get(name) for name in ("sub", "jti", "sid", "scope")]
    if not all(isinstance(text, str) for text in texts):
        return None
    times = (said["iat"], said["exp"])
    if not all(type(moment) is int for moment in times) or not times[0] - _SKEW <= now < times[1]:
        return None
    try:
        login_id = uuid.UUID(hex=said["sid"])
    except ValueError:
        return None
    return Claims(said["sub"], login_id, said["jti"], frozenset(said["scope"].split()), times[1])


def _header() -> str:
    return jwt.encode({}, "x" * 32, ALGORITHM, headers={"typ": TYPE}).partition(".")[0]


_HEADER = _header()
