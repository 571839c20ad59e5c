"""Verifies the AWS Signature Version 4 of a request, as S3 does."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.loopback.server import Asked

CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, "
    r"SignedHeaders=([^,]+), Signature=(\w{64})"
)


class Refused(Exception):
    """An answer that is an error: status and code."""


def verify(asked: Asked, region: str, access_key: str, secret_key: str) -> None:
    """Refuse what is not signed by these keys, or not signed for this content."""
    found = CREDENTIAL.fullmatch(asked.headers.get("authorization", ""))
    if found is None or found[1] != access_key or found[3] != region:
        raise Refused(403, "AccessDenied")
    day, names, signature = found[2], found[4], found[5]
    claimed = asked.headers["x-amz-content-sha256"]
    if claimed not in ("UNSIGNED-PAYLOAD", hashlib.sha256(asked.content).hexdigest()):
        raise Refused(400, "XAmzContentSHA256Mismatch")
    headers = "".join(f"{name}:{' '.join(asked.headers[name].split())}\n" for name in names.split(";"))
    pairs = sorted("=".join(quote(each, safe="-_.~") for each in pair) for pair in asked.query.items())
    request = f"{asked.method}\n{asked.path}\n{'&'.join(pairs)}\n{headers}\n{names}\n{claimed}"
    moment = asked.headers["x-amz-date"]
    scope = f"{day}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature):
        raise Refused(403, "SignatureDoesNotMatch")
    if abs(time.time() - datetime.strptime(moment, "%Y%m%dT%H%M%S%z").timestamp()) > 900:
        raise Refused(403, "RequestTimeTooSkewed")
