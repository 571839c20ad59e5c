"""A storage in an S3 bucket. A request whose answer is lost is not treated as failed: its effect is checked."""

from __future__ import annotations

import hashlib
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.errors import AssetUnreadable, Conflict, ServiceError, Unavailable
from shared.storage.base import CHUNK_BYTES, Storage, disk_full_as_storage_error
from shared.storage.local_cache import LocalCache
from shared.storage.s3_client import (
    MAX_TRIES,
    S3,
    AccessDenied,
    NameTaken,
    ObjectMissing,
    sleep_before_retry,
    translate_errors,
)
from shared.storage.s3_parts import PART_BYTES, ContentFacts, checksum, iterate_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from shared.settings import Settings

log = logging.getLogger(__name__)

MAX_COPY_BYTES = 5 * 1024**3  # the most that S3 copies in one request
PARALLEL_HEADS = 8
# Storing an object again refreshes its date once it is this old, so that orphan cleanup skips what is about to be
# referenced.
REDATE_AFTER = timedelta(hours=1)


def open_bucket(config: Settings) -> S3Storage:
    """Return the storage that `s3://bucket/prefix` names."""
    url = urlsplit(config.storage_url)
    cache = LocalCache(
        config.storage_cache_dir,
        max_bytes=config.storage_cache_max_bytes,
        protected_seconds=config.render_timeout.total_seconds(),
    )
    return S3Storage(S3(url.netloc, config), url.path.strip("/"), cache)


class S3Storage(Storage):
    """Objects below a prefix of a bucket, with a local cache of those in use."""

    blocking = False

    def __init__(self, s3: S3, prefix: str, cache: LocalCache) -> None:
        self.root = cache.root
        self._s3 = s3
        self._prefix = f"{prefix}/" if prefix else ""
        self._cache = cache

    def _key(self, key: str) -> str:
        return self._prefix + key

    # Reading.

    def locate(self, key: str) -> Path:
        """Return the cached file, downloaded if needed."""
        try:
            return self._cache.fetch(key, lambda file: self._download(key, file))
        except ObjectMissing:
            raise AssetUnreadable("A stored file is missing.") from None

    def _download(self, key: str, file: IO[bytes]) -> None:
        content = ContentFacts.from_head(self._s3.request("head_object", Key=self._key(key)))
        digest = hashlib.sha256()
        for chunk in self.read(key, 0, content.bytes):
            digest.update(chunk)
            file.write(chunk)
        # Objects written by other programs have no hash to compare with.
        if content.sha256 and digest.hexdigest() != content.sha256:
            raise Unavailable("The storage returned other bytes than were stored.")

    def size(self, key: str) -> int | None:
        """Request the object's facts."""
        head = self._head(key)
        return None if head is None else int(head["ContentLength"])

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Stream the object; where the connection breaks, continue on another one."""
        # Consecutive failures count: a large file over a bad line may break more often than MAX_TRIES in total.
        failures = 0
        while start < stop:
            try:
                for chunk in self._stream(key, start, stop):
                    start += len(chunk)
                    failures = 0
                    yield chunk
            except Unavailable:
                failures += 1
                if failures == MAX_TRIES:
                    raise
                sleep_before_retry(failures)

    def _stream(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        answer = self._s3.request_once("get_object", Key=self._key(key), Range=f"bytes={start}-{stop - 1}")
        with closing(answer["Body"]) as body, translate_errors():
            yield from body.iter_chunks(CHUNK_BYTES)

    def find_existing(self, keys: Iterable[str]) -> set[str]:
        """Request the facts of several objects at once."""
        # Keys may repeat, and each would cost a request.
        unique = list(dict.fromkeys(keys))
        with ThreadPoolExecutor(PARALLEL_HEADS, thread_name_prefix="storage") as pool:
            heads = list(pool.map(self._head, unique))
        return {key for key, head in zip(unique, heads, strict=True) if head is not None}

    def _head(self, key: str) -> dict[str, Any] | None:
        with suppress(ObjectMissing):
            return self._s3.request("head_object", Key=self._key(key))
        return None

    # Writing.

    @contextmanager
    def create(self, key: str) -> Iterator[IO[bytes]]:
        """Write a local file, upload it when the block ends, and keep it in the cache."""
        with self._cache.new_part() as part:
            with disk_full_as_storage_error(), part.open("xb") as file:
                yield file
            self._send(part, key)
            self._cache.add(part, key)

    def put(self, source: Path, key: str) -> None:
        """Upload the file and keep it in the cache."""
        self._send(source, key)
        self._cache.add(source, key)

    def link(self, source: Path, key: str) -> None:
        """Upload the file under the second key too."""
        self._send(source, key)

    def copy(self, existing: str, key: str) -> None:
        """Copy the object inside the bucket."""
        head = self._head(existing)
        if head is None:
            raise AssetUnreadable("A stored file is missing.")
        content = ContentFacts.from_head(head)
        if content.bytes > MAX_COPY_BYTES:
            self.link(self.locate(existing), key)
            return
        source = {"Bucket": self._s3.bucket, "Key": self._key(existing)}
        try:
            self._write_until_stored(
                key,
                content,
                lambda: self._s3.request_once("copy_object", Key=self._key(key), CopySource=source),
            )
        except ObjectMissing:
            raise AssetUnreadable("A stored file is missing.") from None

    def _send(self, source: Path, key: str) -> None:
        content = ContentFacts.of(source)
        # The hash travels as metadata: an ETag is no hash of a file that was sent in parts.
        facts = {"Key": self._key(key), "Metadata": {"sha256": content.sha256}}
        if content.bytes > PART_BYTES:
            self._send_parts(source, content, facts, key)
            return
        body = source.read_bytes()
        verified = checksum(body)

        def send() -> None:
            # If-None-Match: without it, a slow duplicate of this request could overwrite what is stored by then.
            self._s3.request_once("put_object", **facts, Body=body, ChecksumSHA256=verified, IfNoneMatch="*")

        self._write_until_stored(key, content, send)

    def _send_parts(self, source: Path, content: ContentFacts, facts: dict[str, Any], key: str) -> None:
        begun = self._s3.request("create_multipart_upload", **facts, ChecksumAlgorithm="SHA256")
        upload = {"Key": facts["Key"], "UploadId": begun["UploadId"]}
        try:
            sent = [self._send_part(upload, *each) for each in iterate_parts(source, content.bytes)]
            told = self._write_until_stored(
                key,
                content,
                lambda: self._s3.request_once(
                    "complete_multipart_upload", **upload, MultipartUpload={"Parts": sent}, IfNoneMatch="*"
                ),
            )
            if not told:  # it may have existed before, and then the parts are not needed
                self._abort(upload)
        except ObjectMissing:
            raise Unavailable("The storage lost the upload. Try again shortly.") from None
        # Also on KeyboardInterrupt and Stopped: parts that are not aborted are stored, and paid for, without being
        # listed.
        except BaseException:
            self._abort(upload)
            raise

    def _send_part(self, upload: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
        verified = checksum(body)
        answer = self._s3.request(
            "upload_part", **upload, PartNumber=number, Body=body, ChecksumSHA256=verified
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": verified}

    def _abort(self, upload: dict[str, Any]) -> None:
        """Abort a multipart upload; if that fails now, orphan cleanup does it later."""
        try:
            self._s3.request("abort_multipart_upload", **upload)
        except ObjectMissing:
            pass
        except ServiceError as error:
            log.warning("storage_upload_not_aborted", extra={"reason": error.detail})

    def _write_until_stored(self, key: str, content: ContentFacts, write: Callable[[], object]) -> bool:
        """Write until the key has this content, whatever the answers are. Raise Conflict if it has another content.

        Return True if an answer confirmed the write, False if the content was found there.
        """
        for number in range(MAX_TRIES):
            try:
                write()
            except (NameTaken, ObjectMissing, Unavailable) as error:
                # The answer may be lost and the write done: look before trying again or giving up.
                if self._has(key, content, new=number > 0):
                    return False
                if isinstance(error, ObjectMissing | AccessDenied):
                    raise
                if number == MAX_TRIES - 1:
                    raise Unavailable("The storage cannot be used now. Try again shortly.") from error
                log.warning("storage_request_retried", extra={"operation": "write", "reason": error.detail})
                sleep_before_retry(number)
            else:
                return True
        raise AssertionError

    def _has(self, key: str, content: ContentFacts, *, new: bool) -> bool:
        """Return whether the key has this content, or raise Conflict if it has another one."""
        head = self._head(key)
        if head is None:
            return False
        if ContentFacts.from_head(head) != content:
            raise Conflict("A different file is stored under this key.")
        if not new and datetime.now(UTC) - head["LastModified"] > REDATE_AFTER:
            self._refresh_date(key, content)
        return True

    def _refresh_date(self, key: str, content: ContentFacts) -> None:
        if content.bytes <= MAX_COPY_BYTES:
            self._s3.request(
                "copy_object",
                Key=self._key(key),
                CopySource={"Bucket": self._s3.bucket, "Key": self._key(key)},
                Metadata={"sha256": content.sha256},
                # S3 refuses to copy an object onto itself unless something changes.
                MetadataDirective="REPLACE",
            )

    # Deleting.

    def delete(self, key: str) -> None:
        """Delete the object and its local copy; copies on other machines age out of their caches."""
        # First the copy: if the bucket fails now, the key is deleted again later, and the copy must not outlive it.
        self._cache.discard(key)
        self._s3.request("delete_object", Key=self._key(key))

    def list_older_than(self, before: float) -> Iterator[str]:
        """List the bucket, a thousand objects per request."""
        request: dict[str, Any] = {"Prefix": self._prefix}
        while True:
            page = self._s3.request("list_objects_v2", **request)
            for found_object in page.get("Contents", ()):
                if found_object["LastModified"].timestamp() < before:
                    yield str(found_object["Key"]).removeprefix(self._prefix)
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def remove_unfinished(self, before: float) -> int:
        """Abort multipart uploads whose sender died, and trim the local cache."""
        self._cache.trim()
        cleared = 0
        request: dict[str, Any] = {"Prefix": self._prefix}
        while True:
            page = self._s3.request("list_multipart_uploads", **request)
            for upload in page.get("Uploads", ()):
                if upload["Initiated"].timestamp() < before:
                    self._abort({"Key": upload["Key"], "UploadId": upload["UploadId"]})
                    cleared += 1
            if not page.get("IsTruncated"):
                return cleared
            request |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def check_writable(self) -> None:
        """Write an object and delete it, without retries."""
        self._s3.request_once("delete_object", Key=self._probe())

    def rejects_overwrites(self) -> bool:
        """Return whether the server refuses a second content under one key (`If-None-Match`): not all servers do."""
        key = self._probe()
        try:
            self._s3.request_once("put_object", Key=key, Body=b"no", IfNoneMatch="*")
        except NameTaken:
            return True
        finally:
            self._s3.request_once("delete_object", Key=key)
        return False

    def _probe(self) -> str:
        key = self._key(f"incoming/probe-{uuid.uuid4().hex}")
        self._s3.request_once("put_object", Key=key, Body=b"ok")
        return key
