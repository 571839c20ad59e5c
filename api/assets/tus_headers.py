"""What the headers of tus 1.0.0 say (https://tus.io/protocols/resumable-upload). It does no I/O."""

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
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas


class UnsupportedTusVersion(ServiceError):
    """The request is of another version of tus, or of none: `Tus-Resumable` must say which."""

    status, code, title = 412, "tus-version", "Unsupported version of tus"
    headers: ClassVar[dict[str, str]] = {"Tus-Version": VERSION}


class ChecksumMismatch(ServiceError):
    """What arrived is not what was sent. It was thrown away; send it again."""

    status, code, title = 460, "checksum-mismatch", "Checksum Mismatch"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the body of one request must be by its hash."""

    algorithm: str
    digest: bytes

    def new_hash(self) -> hashlib._Hash:
        """Return a hash to feed the body to."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Creation:
    """What the headers say of a new upload. `meta` is as it was told, and was found to be right."""

    length: int | None
    meta: str | None
    checksum: Checksum | None


def parse_creation(headers: Headers, most: int) -> Creation:
    """Return what is asked for, or raise what is wrong with it."""
    parse_metadata(meta := headers.get("Upload-Metadata"))
    return Creation(parse_length(headers, most), meta, parse_checksum(headers.get("Upload-Checksum")))


def check_version(headers: Headers) -> None:
    """Raise OtherVersion unless the request speaks ours."""
    if headers.get("Tus-Resumable") != VERSION:
        raise UnsupportedTusVersion(f"Tus-Resumable must be {VERSION}.")


def parse_number(headers: Headers, name: str) -> int | None:
    """Return a header's number; None where there is no such header."""
    given = headers.get(name)
    if given is None:
        return None
    if not _NUMBER.fullmatch(given):
        raise BadRequest(f"{name} must be a number, 0 or larger.")
    return int(given)


def parse_length(headers: Headers, most: int) -> int | None:
    """Return how long a new upload will be; None where it will be told later."""
    if "Upload-Concat" in headers:
        raise BadRequest("Uploads cannot be put together from others here.")
    stated, deferred = parse_number(headers, "Upload-Length"), headers.get("Upload-Defer-Length")
    if deferred not in (None, "1"):
        raise BadRequest("Upload-Defer-Length must be 1.")
    if (stated is None) == (deferred is None):
        raise BadRequest("Either Upload-Length or Upload-Defer-Length is needed.")
    return check_length(stated, most)


def check_length(stated: int | None, most: int) -> int | None:
    """Return the length, or raise TooLarge."""
    if stated is not None and stated > most:
        raise TooLarge(f"A file may have {most} bytes.")
    return stated


def parse_metadata(given: str | None) -> dict[str, bytes]:
    """Return the pairs of Upload-Metadata, or raise BadRequest. One that is empty has none."""
    pairs: dict[str, bytes] = {}
    for pair in given.split(",") if given and given.strip() else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in pairs:
            raise BadRequest("Upload-Metadata must be pairs of a key, given once, and a value in Base64.")
        pairs[key] = _decode_base64("Upload-Metadata", value)
    return pairs


def parse_checksum(given: str | None) -> Checksum | None:
    """Return what Upload-Checksum asks for, or raise BadRequest."""
    if given is None:
        return None
    algorithm, _, value = given.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"Upload-Checksum must be by one of: {', '.join(ALGORITHMS)}.")
    found = Checksum(algorithm, _decode_base64("Upload-Checksum", value))
    if len(found.digest) != found.new_hash().digest_size:
        raise BadRequest(f"Upload-Checksum is no {algorithm} hash.")
    return found


def _decode_base64(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"A value of {name} is not Base64.") from error


class MethodOverride:
    """Takes a request's method from `X-HTTP-Method-Override`: some networks let only GET and POST through."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Ask the application as the header says, on the paths of uploads alone."""
        given = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        if given is None or not PATHS.fullmatch(environ.get("PATH_INFO", "")):
            return self._application(environ, start_response)
        actual, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], given.strip().upper()
        if environ["REQUEST_METHOD"] == "HEAD" != actual:
            start_response = _without_length(start_response)
        return self._application(environ, start_response)


def _without_length(start_response: StartResponse) -> StartResponse:
    """Have an answer without a body say so: the server does not know that its length is of what HEAD leaves out."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return start_response(status, [*kept, ("Content-Length", "0")], exc_info)

    return start
