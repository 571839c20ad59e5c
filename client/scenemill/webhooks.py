"""Verifies webhook messages by the Standard Webhooks scheme, with nothing but the standard library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from scenemill.errors import WebhookInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

TOLERANCE = 300.0  # seconds that a message's clock may differ from ours
PREFIX = "whsec_"
SCHEME = "v1"


class Headers(Protocol):
    """The headers of a request: a dict, or what Flask, Django, Starlette and others have for it."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Give the names and values."""


def verify(
    secret: str | Iterable[str],
    headers: Headers,
    body: bytes | str,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> dict[str, Any]:
    """Return a message's JSON, or raise WebhookInvalid where it is forged, changed, or older than `tolerance` seconds.

    `secret` is what `webhooks.secret()` of the client shows, or several of them while yours are rotated. `headers` are
    the request's, in any case; `body` is what arrived, to the byte. A message may come twice: keep its `webhook-id`.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (
            found[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
    except KeyError as error:
        raise WebhookInvalid(f"The header {error.args[0]} is missing.") from None
    _check_time(timestamp, tolerance, time.time() if now is None else now)
    content = body.encode() if isinstance(body, str) else body
    signed = b".".join((message_id.encode(), timestamp.encode(), content))
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not _signed(signed, signatures, secrets):
        raise WebhookInvalid(
            "No signature of the message fits: it is forged, was changed, or has another secret."
        )
    return _document(content)


def sign(secret: str, message_id: str, timestamp: int, body: bytes | str) -> str:
    """Return the signature of a message, as Scenemill sends it: for tests of a receiver."""
    content = body.encode() if isinstance(body, str) else body
    return f"{SCHEME},{_mac(secret, b'.'.join((message_id.encode(), str(timestamp).encode(), content)))}"


def _check_time(timestamp: str, tolerance: float, now: float) -> None:
    # int() would take signs, blanks and underscores, which the sender never writes.
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise WebhookInvalid(f"The header webhook-timestamp is {timestamp!r}, no number of seconds.")
    age = now - int(timestamp)
    if abs(age) > tolerance:
        when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s in the future"
        raise WebhookInvalid(
            f"The message is {when}; at most {tolerance:g} s are accepted. Check the clocks."
        )


def _signed(signed: bytes, signatures: str, secrets: list[str]) -> bool:
    # A message has several signatures while the sender's secrets are rotated; one that fits is enough.
    given = [one.partition(",")[2] for one in signatures.split() if one.startswith(f"{SCHEME},")]
    expected = [_mac(secret, signed) for secret in secrets]
    return any(hmac.compare_digest(one.encode(), ours.encode()) for ours in expected for one in given)


def _mac(secret: str, signed: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"A webhook secret is {PREFIX} and base64.") from error
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise WebhookInvalid("The message is signed, and is no JSON.") from error
    if not isinstance(document, dict):
        raise WebhookInvalid("The message is signed, and is no JSON object.")
    return document
