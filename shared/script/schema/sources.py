"""Addresses that a client may name: its own assets, and https URLs. Neither is looked up here."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError

from shared.script.schema.fields import StrictString

_ASSET = re.compile(r"asset:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.IGNORECASE)
# What RFC 3986 lets a URL hold, and nothing that two parsers might read in two ways.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"[A-Za-z0-9.\-_\[\]:]+")
MAX_URL = 2048


class SourceField(StrictString):
    """`asset:ID` or an https URL; placeholders are filled first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_URL, placeholders_allowed=True, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Return the source in its one spelling."""
        text = super().check(value)
        if asset := _ASSET.fullmatch(text):
            return f"asset:{asset[1].lower()}"
        if text.lower().startswith("asset:"):
            raise ValidationError("Must be asset: and the asset's id.")
        url = _split(text, "Must be asset:ID or an https URL.")
        if url.scheme != "https":
            raise ValidationError("Must be asset:ID or an https URL.")
        return text

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Describe both forms, and the placeholder that may stand for either."""
        return {"type": "string", "maxLength": self.maximum, "pattern": r"^(asset:|https://|.*\{\{)"}


class WebhookUrlField(StrictString):
    """Where a webhook goes: an https URL. Plain http is let through for loopback alone.

    Whether private and loopback addresses are allowed is the operator's choice, and refused elsewhere.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_URL, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Return the URL as it came."""
        text = super().check(value)
        url = _split(text, "Must be an https URL.")
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
            raise ValidationError("Must be an https URL.")
        return text

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Describe a URL."""
        return {"type": "string", "format": "uri", "maxLength": self.maximum}


def asset_id(src: str) -> str | None:
    """Return the id of the asset that a checked `src` names, or None for a URL."""
    return src.removeprefix("asset:") if src.startswith("asset:") else None


def _split(text: str, wanted: str) -> SplitResult:
    if not _URL.fullmatch(text):
        raise ValidationError("Is not a URL: it has characters that must be percent-encoded.")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValidationError("Is not a URL.") from error
    if not url.hostname or not _HOST.fullmatch(url.netloc.rpartition("@")[2]) or port == 0:
        raise ValidationError(wanted if not url.netloc else "Is not a URL.")
    if "@" in url.netloc:
        raise ValidationError("May not hold a user name or password.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
