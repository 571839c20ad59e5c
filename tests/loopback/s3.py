"""A small S3 on loopback: objects in memory, signatures and checksums verified, conditions kept, parts put together.

It fails as it is told to, where it is told to (`fail`), and can make all that it holds look older (`turn_back`).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import socket
import struct
import threading
import uuid
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from tests.loopback import signature
from tests.loopback.server import Loopback
from tests.loopback.signature import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.loopback.server import Asked, Handler

    Fault = Literal["500", "503", "hang", "reset", "412", "lost"]
    Answer = tuple[int, bytes, dict[str, str]]
    Match = Callable[[str, str], bool]  # method, target

BUCKET, REGION = "videos", "us-east-1"
ACCESS_KEY, SECRET_KEY = "loopback-access", "loopback-secret-of-forty-letters-and-more"
SMALLEST_PART = 5 * 1024**2
PAGE = 1000
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True)
class Stored:
    """An object."""

    content: bytes = field(repr=False)
    metadata: Mapping[str, str]
    modified: datetime
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        named = {f"x-amz-meta-{name}": value for name, value in self.metadata.items()}
        return {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True), **named}


@dataclass
class Upload:
    """What is sent in parts."""

    key: str
    metadata: Mapping[str, str]
    initiated: datetime
    parts: dict[int, bytes] = field(default_factory=dict, repr=False)


class S3(Loopback):
    """The server, with one bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self.careless = False  # about conditions
        self._cut: int | None = None
        self.page = PAGE
        self.failed: Counter[str] = Counter()
        self._faults: list[tuple[Fault, Match, int]] = []
        self._lock = threading.RLock()
        self._over = threading.Event()

    def settings(self, prefix: str = "") -> dict[str, str]:
        """Return the settings of who stores files here."""
        return {
            "SCENEMILL_STORAGE_URL": f"s3://{BUCKET}/{prefix}",
            "SCENEMILL_S3_ENDPOINT": self.root,
            "SCENEMILL_S3_ACCESS_KEY": ACCESS_KEY,
            "SCENEMILL_S3_SECRET_KEY": SECRET_KEY,
        }

    def fail(self, kind: Fault, match: Match = lambda _method, _target: True, *, times: int = 1) -> None:
        """Fail so at the next requests that match."""
        with self._lock:
            self._faults.append((kind, match, times))

    def well(self) -> None:
        """Fail no more."""
        with self._lock:
            self._faults.clear()

    def cut_at(self, sent: int) -> None:
        """Break off the next answer that is longer than that."""
        self._cut = sent

    def turn_back(self, by: timedelta) -> None:
        """Date all that is there so much earlier."""
        with self._lock:
            for key, one in self.objects.items():
                self.objects[key] = replace(one, modified=one.modified - by)
            for upload in self.uploads.values():
                upload.initiated -= by

    def spoil(self, key: str, content: bytes) -> None:
        """Change what an object holds."""
        self.objects[key] = replace(self.objects[key], content=content)

    def begin(self, key: str) -> str:
        """Leave an upload behind that nobody goes on with."""
        number = uuid.uuid4().hex
        self.uploads[number] = Upload(key, {}, _now())
        return number

    def __exit__(self, *error: object) -> None:
        self._over.set()
        super().__exit__(*error)

    # Failing.

    def early(self, handler: Handler) -> bool:
        kind = self._fault(handler.command, handler.path)
        handler.fault = kind
        if kind != "reset":
            return False
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)) // 2)
        _reset(handler)
        return True

    def _fault(self, method: str, target: str) -> Fault | None:
        with self._lock:
            for number, (kind, match, times) in enumerate(self._faults):
                if match(method, target):
                    self._faults[number : number + 1] = [(kind, match, times - 1)] if times > 1 else []
                    self.failed[kind] += 1
                    return kind
        return None

    def behave(self, handler: Handler, asked: Asked) -> None:
        with self._lock:
            self.requests[:] = [
                replace(one, content=b"") if one is asked else one for one in self.requests[-500:]
            ]
        match getattr(handler, "fault", None):
            case "hang":
                self._over.wait(60)
                _reset(handler)
            case "lost":
                handler.wfile = io.BytesIO()
                self.serve(handler, asked)
                _reset(handler)
            case "412":
                _error(handler, 412, "PreconditionFailed")
            case "500" | "503" as status:
                _error(handler, int(status), "InternalError" if status == "500" else "SlowDown")
            case _:
                self.serve(handler, asked)

    # Serving.

    def serve(self, handler: Handler, asked: Asked) -> None:
        try:
            signature.verify(asked, REGION, ACCESS_KEY, SECRET_KEY)
            with self._lock:
                status, body, headers = self._answer(asked, _key(asked.path))
        except Refused as refused:
            _error(handler, *refused.args)
        else:
            self._send(handler, status, body, headers)

    def _send(self, handler: Handler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        if self._cut is None or len(body) <= self._cut:
            _reply(handler, status, body, headers)
            return
        _reply(handler, status, body[: self._cut], {**headers, "Content-Length": str(len(body))})
        self._cut = None
        self.failed["cut"] += 1
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    def _answer(self, asked: Asked, key: str) -> Answer:
        for method, named, answer in (
            ("PUT", "partNumber", self._part),
            ("PUT", "x-amz-copy-source", self._copy),
            ("PUT", "", self._put),
            ("GET", "list-type", self._list),
            ("GET", "uploads", self._list_uploads),
            ("GET", "", self._get),
            ("HEAD", "", self._get),
            ("POST", "uploads", self._begin),
            ("POST", "uploadId", self._complete),
            ("DELETE", "uploadId", self._abort),
            ("DELETE", "", self._delete),
        ):
            if asked.method == method and (not named or named in asked.query or named in asked.headers):
                return answer(asked, key)
        raise Refused(405, "MethodNotAllowed")

    def _abort(self, asked: Asked, _: str) -> Answer:
        if self.uploads.pop(asked.query["uploadId"], None) is None:
            raise Refused(404, "NoSuchUpload")
        return 204, b"", {}

    def _delete(self, _: Asked, key: str) -> Answer:
        self.objects.pop(key, None)
        return 204, b"", {}

    def _store(
        self, asked: Asked, key: str, content: bytes, metadata: Mapping[str, str], etag: str
    ) -> Stored:
        if asked.headers.get("if-none-match") == "*" and key in self.objects and not self.careless:
            raise Refused(412, "PreconditionFailed")
        self.objects[key] = Stored(content, metadata, _now(), etag)
        return self.objects[key]

    def _put(self, asked: Asked, key: str) -> Answer:
        stored = self._store(asked, key, _content(asked), _metadata(asked), _etag(asked.content))
        return 200, b"", {"ETag": stored.etag}

    def _copy(self, asked: Asked, key: str) -> Answer:
        name = _key(asked.headers["x-amz-copy-source"])
        source = self.objects.get(name)
        if source is None:
            raise Refused(404, "NoSuchKey")
        anew = asked.headers.get("x-amz-metadata-directive") == "REPLACE"
        if name == key and not anew:
            raise Refused(400, "InvalidRequest")
        metadata = _metadata(asked) if anew else source.metadata
        stored = self._store(asked, key, source.content, metadata, _etag(source.content))
        facts = f"<ETag>{escape(stored.etag)}</ETag><LastModified>{_iso(stored.modified)}</LastModified>"
        return 200, _xml("CopyObjectResult", facts), {}

    def _get(self, asked: Asked, key: str) -> Answer:
        stored = self.objects.get(key)
        if stored is None:
            raise Refused(404, "NoSuchKey")
        size, wanted = len(stored.content), asked.headers.get("range")
        if wanted is None:
            return 200, stored.content, stored.headers
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        start, last = (int(found[1]), min(int(found[2] or size - 1), size - 1)) if found else (size, 0)
        if start >= size:
            raise Refused(416, "InvalidRange")
        told = {"Content-Range": f"bytes {start}-{last}/{size}"}
        return 206, stored.content[start : last + 1], {**stored.headers, **told}

    def _begin(self, asked: Asked, key: str) -> Answer:
        number = self.begin(key)
        self.uploads[number].metadata = _metadata(asked)
        facts = f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key><UploadId>{number}</UploadId>"
        return 200, _xml("InitiateMultipartUploadResult", facts), {}

    def _part(self, asked: Asked, _: str) -> Answer:
        upload = self.uploads.get(asked.query["uploadId"])
        if upload is None:
            raise Refused(404, "NoSuchUpload")
        upload.parts[int(asked.query["partNumber"])] = _content(asked)
        return 200, b"", {"ETag": _etag(asked.content)}

    def _complete(self, asked: Asked, key: str) -> Answer:
        upload = self.uploads.get(asked.query["uploadId"])
        if upload is None or upload.key != key:
            raise Refused(404, "NoSuchUpload")
        root = ET.fromstring(asked.content)  # noqa: S314 (our own client wrote it)
        told = [{_local(fact): fact.text or "" for fact in part} for part in root]
        numbers = [int(part["PartNumber"]) for part in told]
        if numbers != sorted(set(numbers)) or not set(numbers) <= set(upload.parts):
            raise Refused(400, "InvalidPartOrder")
        parts = [upload.parts[number] for number in numbers]
        if any(_etag(part) != named["ETag"] for part, named in zip(parts, told, strict=True)):
            raise Refused(400, "InvalidPart")
        if any(len(part) < SMALLEST_PART for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        self._store(asked, key, b"".join(parts), upload.metadata, etag)
        del self.uploads[asked.query["uploadId"]]
        facts = f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key><ETag>{escape(etag)}</ETag>"
        return 200, _xml("CompleteMultipartUploadResult", facts), {}

    def _list(self, asked: Asked, _: str) -> Answer:
        query = asked.query
        after = query.get("continuation-token", "")
        names = sorted(
            name for name in self.objects if name.startswith(query.get("prefix", "")) and name > after
        )
        page, more = names[: self.page], len(names) > self.page
        facts = "".join(
            f"<Contents><Key>{escape(quote(name) if query.get('encoding-type') == 'url' else name)}</Key>"
            f"<LastModified>{_iso(self.objects[name].modified)}</LastModified>"
            f"<Size>{len(self.objects[name].content)}</Size></Contents>"
            for name in page
        )
        told = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        told += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            200,
            _xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{told}{facts}"),
            {},
        )

    def _list_uploads(self, asked: Asked, _: str) -> Answer:
        query = asked.query
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        known = sorted((one.key, number) for number, one in self.uploads.items())
        known = [one for one in known if one[0].startswith(query.get("prefix", "")) and one > after]
        page, more = known[: self.page], len(known) > self.page
        facts = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{number}</UploadId>"
            f"<Initiated>{_iso(self.uploads[number].initiated)}</Initiated></Upload>"
            for key, number in page
        )
        if more:
            facts += f"<NextKeyMarker>{escape(page[-1][0])}</NextKeyMarker>"
            facts += f"<NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>"
        told = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return 200, _xml("ListMultipartUploadsResult", told + facts), {}


def _key(path: str) -> str:
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if bucket != BUCKET:
        raise Refused(404, "NoSuchBucket")
    return key


def _content(asked: Asked) -> bytes:
    """Return what came, if it is what its sender says."""
    named = asked.headers.get("x-amz-checksum-sha256")
    if named is not None and named != b64encode(hashlib.sha256(asked.content).digest()).decode():
        raise Refused(400, "BadDigest")
    return asked.content


def _metadata(asked: Asked) -> dict[str, str]:
    start = "x-amz-meta-"
    return {
        name.removeprefix(start): value for name, value in asked.headers.items() if name.startswith(start)
    }


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _xml(name: str, facts: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} {NAMESPACE}>{facts}</{name}>'.encode()


def _error(handler: Handler, status: int, code: str) -> None:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
    )
    _reply(handler, status, body.encode(), {})


def _reply(handler: Handler, status: int, body: bytes, headers: Mapping[str, Any]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": len(body), **headers}.items():
        handler.send_header(name, str(value))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _reset(handler: Handler) -> None:
    """Break the connection, so that the other side sees a reset."""
    with contextlib.suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
    handler.close_connection = True
