"""Fields for sources that a client names: its own assets, and https URLs. They are not looked up here."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError

from shared.script.schema.fields import StrictString

_ASSET = re.compile(r"asset:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.IGNORECASE)
# The characters that RFC 3986 allows in a URL: others, two parsers might read in two ways.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"[A-Za-z0-9.\-_\[\]:]+")
MAX_URL = 2048


class SourceField(StrictString):
    """`asset:ID` or an https URL; placeholders are filled in first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_URL, placeholders_allowed=True, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Return the source in its canonical spelling."""
        text = super().check(value)
        if asset := _ASSET.fullmatch(text):
            # One spelling: cache keys and job_assets compare it as text.
            return f"asset:{asset[1].lower()}"
        if text.lower().startswith("asset:"):
            raise ValidationError("Must be asset: followed by the asset's id.")
        url = _split(text, "Must be asset:ID or an https URL.")
        if url.scheme != "https":
            raise ValidationError("Must be asset:ID or an https URL.")
        return text

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema of both forms, and of a placeholder."""
        return {"type": "string", "maxLength": self.maximum, "pattern": r"^(asset:|https://|.*\{\{)"}


class WebhookUrlField(StrictString):
    """A webhook's https URL. Plain http is accepted for loopback only.

    Whether private and loopback addresses are allowed depends on the settings, and is checked elsewhere.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_URL, one_line=True, **kwargs)

    def check(self, value: Any) -> str:
        """Return the URL unchanged."""
        text = super().check(value)
        url = _split(text, "Must be an https URL.")
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
            raise ValidationError("Must be an https URL.")
        return text

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema of a URL."""
        return {"type": "string", "format": "uri", "maxLength": self.maximum}


def asset_id(src: str) -> str | None:
    """Return the asset's id in a checked `src`, or None for a URL."""
    return src.removeprefix("asset:") if src.startswith("asset:") else None


def _split(text: str, message: str) -> SplitResult:
    if not _URL.fullmatch(text):
        raise ValidationError("Is not a URL: it has characters that must be percent-encoded.")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValidationError("Is not a URL.") from error
    # urlsplit accepts hosts such as "a!b" or "a%20b", which HTTP clients read differently.
    if not url.hostname or not _HOST.fullmatch(url.netloc.rpartition("@")[2]) or port == 0:
        raise ValidationError(message if not url.netloc else "Is not a URL.")
    # A password in a URL would reach logs, results and the script sidecar.
    if "@" in url.netloc:
        raise ValidationError("May not hold a user name or password.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
