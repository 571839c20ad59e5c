"""Parses the request headers of tus 1.0.0 (https://tus.io/protocols/resumable-upload). Pure, but for a WSGI wrapper."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from shared.errors import BadRequest, ServiceError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.datastructures import Headers

VERSION = "1.0.0"
EXTENSIONS = (
    "creation", "creation-with-upload", "creation-defer-length", "checksum", "expiration", "termination",
)  # fmt: skip
ALGORITHMS = ("sha1", "sha256", "md5")
CONTENT_TYPE = "application/offset+octet-stream"
PATHS = re.compile(r"(?:/v1)?/uploads(?:/.*)?")
_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII without spaces and commas


class UnsupportedTusVersion(ServiceError):
    """The request's `Tus-Resumable` is missing or names an unsupported version."""

    status, code, title = 412, "tus-version", "Unsupported version of tus"
    headers: ClassVar[dict[str, str]] = {"Tus-Version": VERSION}


class ChecksumMismatch(ServiceError):
    """The body does not match its checksum. It was discarded; send it again."""

    status, code, title = 460, "checksum-mismatch", "Checksum Mismatch"


@dataclass(frozen=True, slots=True)
class Checksum:
    """The expected hash of a request's body."""

    algorithm: str
    digest: bytes

    def new_hash(self) -> hashlib._Hash:
        """Return a new hash object to feed the body to."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Creation:
    """The headers of a request for a new upload. `meta` is the validated Upload-Metadata, unparsed."""

    length: int | None
    meta: str | None
    checksum: Checksum | None


def parse_creation(headers: Headers, max_bytes: int) -> Creation:
    """Parse the headers of a request for a new upload; raise BadRequest or TooLarge."""
    parse_metadata(meta := headers.get("Upload-Metadata"))
    return Creation(parse_length(headers, max_bytes), meta, parse_checksum(headers.get("Upload-Checksum")))


def check_version(headers: Headers) -> None:
    """Raise UnsupportedTusVersion unless the request is of our version."""
    if headers.get("Tus-Resumable") != VERSION:
        raise UnsupportedTusVersion(f"Tus-Resumable must be {VERSION}.")


def parse_number(headers: Headers, name: str) -> int | None:
    """Return a header's number; None where there is no such header."""
    header = headers.get(name)
    if header is None:
        return None
    if not _NUMBER.fullmatch(header):
        raise BadRequest(f"{name} must be a whole number, 0 or greater.")
    return int(header)


def parse_length(headers: Headers, max_bytes: int) -> int | None:
    """Return the length of a new upload, or None where it is deferred."""
    if "Upload-Concat" in headers:
        raise BadRequest("Upload-Concat is not supported. Send the parts to one upload, one after another.")
    length, deferred = parse_number(headers, "Upload-Length"), headers.get("Upload-Defer-Length")
    if deferred not in (None, "1"):
        raise BadRequest("Upload-Defer-Length must be 1.")
    if (length is None) == (deferred is None):
        raise BadRequest("Send either Upload-Length or Upload-Defer-Length: 1.")
    return check_length(length, max_bytes)


def check_length(length: int | None, max_bytes: int) -> int | None:
    """Return the length, or raise TooLarge where it exceeds the limit."""
    if length is not None and length > max_bytes:
        raise TooLarge(f"Upload-Length exceeds {max_bytes} bytes, the most that is accepted.")
    return length


def parse_metadata(header: str | None) -> dict[str, bytes]:
    """Return the pairs of Upload-Metadata, or raise BadRequest. An empty header has none."""
    pairs: dict[str, bytes] = {}
    for pair in header.split(",") if header and header.strip() else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in pairs:
            raise BadRequest(
                "Upload-Metadata must be comma-separated pairs: a unique key, a space, a value in Base64."
            )
        pairs[key] = _decode_base64("Upload-Metadata", value)
    return pairs


def parse_checksum(header: str | None) -> Checksum | None:
    """Return the checksum of Upload-Checksum, or raise BadRequest."""
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"Upload-Checksum must name one of: {', '.join(ALGORITHMS)}.")
    checksum = Checksum(algorithm, _decode_base64("Upload-Checksum", value))
    if len(checksum.digest) != checksum.new_hash().digest_size:
        raise BadRequest(f"The value of Upload-Checksum has the wrong length for {algorithm}.")
    return checksum


def _decode_base64(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"A value of {name} is not valid Base64.") from error


class MethodOverride:
    """WSGI wrapper that applies `X-HTTP-Method-Override` to uploads, for networks that pass only GET and POST."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application with the overriding method, on upload paths only."""
        header = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        if header is None or not PATHS.fullmatch(environ.get("PATH_INFO", "")):
            return self._application(environ, start_response)
        actual, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], header.strip().upper()
        if environ["REQUEST_METHOD"] == "HEAD" != actual:
            start_response = _without_length(start_response)
        return self._application(environ, start_response)


def _without_length(start_response: StartResponse) -> StartResponse:
    """Set Content-Length: 0 on responses to an overridden HEAD, since gunicorn sees a POST and would wait for the body."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        other_headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return start_response(status, [*other_headers, ("Content-Length", "0")], exc_info)

    return start
