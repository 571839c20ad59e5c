"""Access tokens: what is believed, and all that is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.security import access_tokens
from api.security.access_tokens import Claims

SECRET, OTHER = "s" * 32, "o" * 32
LOGIN = uuid.UUID(int=7)
NOW = int(time.time())
GOOD = {
    "iss": "scenemill", "aud": "scenemill", "sub": "user:1", "jti": "j", "iat": NOW, "exp": NOW + 900,
    "sid": LOGIN.hex, "scope": "jobs:read jobs:write",
}  # fmt: skip
HEADER = {"alg": "HS256", "typ": "at+jwt"}


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def forge(claims: object, header: object = HEADER, secret: str = SECRET, digest: Any = hashlib.sha256) -> str:
    """Sign anything, as somebody does who has the secret and none of our manners."""
    body = f"{encoded(header)}.{encoded(claims)}"
    mac = hmac.new(secret.encode(), body.encode(), digest).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_a_token_is_verified_by_any_configured_secret():
    token = access_tokens.issue("user:1", LOGIN, ["jobs:read"], secret=SECRET, seconds=900)

    claims = access_tokens.verify(token, [OTHER, SECRET])

    assert claims is not None
    assert (claims.subject, claims.login_id, claims.scopes) == ("user:1", LOGIN, frozenset({"jobs:read"}))
    assert 890 < claims.expires_at - time.time() <= 900
    assert access_tokens.verify(token, [OTHER]) is None
    assert access_tokens.verify(token, []) is None


def test_the_forging_helper_can_sign_a_valid_token():
    assert access_tokens.verify(forge(GOOD), [SECRET]) == Claims(
        "user:1", LOGIN, "j", frozenset({"jobs:read", "jobs:write"}), NOW + 900
    )


def test_no_two_tokens_are_the_same():
    made = {access_tokens.issue("user:1", LOGIN, [], secret=SECRET, seconds=900, now=NOW) for _ in range(50)}

    assert len(made) == 50


@pytest.mark.parametrize("name", access_tokens.REQUIRED)
def test_each_claim_is_required(name):
    assert (
        access_tokens.verify(forge({key: value for key, value in GOOD.items() if key != name}), [SECRET])
        is None
    )


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": NOW}, id="over"),
        pytest.param({"exp": NOW - 1, "iat": NOW - 901}, id="long over"),
        pytest.param({"iat": NOW + 120, "exp": NOW + 900}, id="of the future"),
        pytest.param({"nbf": NOW + 86_400}, id="not yet"),
        pytest.param({"iss": "other"}, id="by another"),
        pytest.param({"aud": "other"}, id="for another"),
        pytest.param({"aud": []}, id="for nobody"),
        pytest.param({"aud": None}, id="for null"),
        pytest.param({"iss": ["scenemill"]}, id="by a list"),
        pytest.param({"sub": 1}, id="a number's"),
        pytest.param({"jti": 1}, id="a number for an id"),
        pytest.param({"exp": str(NOW + 900)}, id="a time as text"),
        pytest.param({"exp": True}, id="a time as truth"),
        pytest.param({"exp": 1e308}, id="a time without end"),
        pytest.param({"sid": "x"}, id="no log-in"),
        pytest.param({"sid": None}, id="a log-in of null"),
        pytest.param({"scope": ["jobs:read"]}, id="a list of scopes"),
    ],
)
def test_an_invalid_claim_is_refused(claims):
    assert access_tokens.verify(forge({**GOOD, **claims}), [SECRET], now=NOW + 0.5) is None


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        pytest.param({"alg": "none", "typ": "at+jwt"}, hashlib.sha256, id="no algorithm"),
        pytest.param({"alg": "None", "typ": "at+jwt"}, hashlib.sha256, id="no algorithm, capital"),
        pytest.param({"alg": "HS512", "typ": "at+jwt"}, hashlib.sha512, id="another HMAC"),
        pytest.param({"alg": "RS256", "typ": "at+jwt"}, hashlib.sha256, id="key confusion"),
        pytest.param({"alg": "HS256", "typ": "JWT"}, hashlib.sha256, id="another type"),
        pytest.param({"alg": "HS256"}, hashlib.sha256, id="no type"),
        pytest.param({**HEADER, "jku": "https://evil.example/keys"}, hashlib.sha256, id="jku"),
        pytest.param({**HEADER, "x5u": "https://evil.example/cert"}, hashlib.sha256, id="x5u"),
        pytest.param({**HEADER, "jwk": {"kty": "oct", "k": encoded(SECRET)}}, hashlib.sha256, id="jwk"),
        pytest.param({**HEADER, "kid": "../../dev/null"}, hashlib.sha256, id="kid"),
        pytest.param({**HEADER, "b64": False, "crit": ["b64"]}, hashlib.sha256, id="b64"),
        pytest.param({**HEADER, "zip": "DEF"}, hashlib.sha256, id="zip"),
        pytest.param({"typ": "at+jwt", "alg": "HS256"}, hashlib.sha256, id="another order"),
        pytest.param([], hashlib.sha256, id="a list"),
    ],
)
def test_a_token_with_another_header_is_refused_even_if_well_signed(header, digest):
    assert access_tokens.verify(forge(GOOD, header, digest=digest), [SECRET]) is None


def test_a_token_signed_with_a_public_key_is_refused():
    private = ec.generate_private_key(ec.SECP256R1())

    assert (
        access_tokens.verify(jwt.encode(GOOD, private, "ES256", headers={"typ": "at+jwt"}), [SECRET]) is None
    )


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda token: token.rpartition(".")[0] + ".", id="no signature"),
        pytest.param(lambda token: token[:-1] + ("A" if token[-1] != "A" else "Q"), id="another signature"),
        pytest.param(
            lambda token: ".".join((*token.split(".")[:2], token.split(".")[2] * 2)), id="twice signed"
        ),
        pytest.param(lambda token: token + "." + token, id="two tokens"),
        pytest.param(lambda token: token + "=", id="padded"),
        pytest.param(lambda token: " " + token, id="a blank before"),
        pytest.param(lambda token: token + "\n", id="a line break after"),
        pytest.param(lambda token: token.replace(".", "\uff0e"), id="wide stops"),
        pytest.param(lambda _: "." * 1000, id="stops alone"),
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda token: token.split(".")[0] + "." + "A" * 5000 + ".A", id="long"),
    ],
)
def test_a_malformed_token_is_refused(spoil):
    assert access_tokens.verify(spoil(forge(GOOD)), [SECRET]) is None


def test_tampered_claims_are_refused():
    header, _, mac = forge(GOOD).split(".")

    assert access_tokens.verify(f"{header}.{encoded({**GOOD, 'scope': 'admin'})}.{mac}", [SECRET]) is None
