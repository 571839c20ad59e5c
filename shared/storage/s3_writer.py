"""Writes objects to an S3 bucket. A request whose answer is lost is not treated as failed: its effect is checked."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.errors import Conflict, ServiceError, Unavailable
from shared.storage.s3_client import MAX_TRIES, S3, AccessDenied, NameTaken, ObjectMissing, sleep_before_retry
from shared.storage.s3_parts import PART_BYTES, ContentFacts, checksum, iterate_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

MAX_COPY_BYTES = 5 * 1024**3  # the most that S3 copies in one request
# Storing an object again refreshes its date once it is this old, so that orphan cleanup skips what is about to be
# referenced.
REDATE_AFTER = timedelta(hours=1)


class S3Writer:
    """Uploads and copies objects under full keys, and never replaces one by another content."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3

    def store(self, source: Path, key: str) -> None:
        """Upload a file, in parts if it is large, until the key has its content."""
        content = ContentFacts.of(source)
        # The hash travels as metadata: an ETag is no hash of a file that was sent in parts.
        facts = {"Key": key, "Metadata": {"sha256": content.sha256}}
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
                self.abort(upload)
        except ObjectMissing:
            raise Unavailable("The storage lost the upload. Try again shortly.") from None
        # Also on KeyboardInterrupt and Stopped: parts that are not aborted are stored, and paid for, without being
        # listed.
        except BaseException:
            self.abort(upload)
            raise

    def _send_part(self, upload: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
        verified = checksum(body)
        answer = self._s3.request(
            "upload_part", **upload, PartNumber=number, Body=body, ChecksumSHA256=verified
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": verified}

    def abort(self, upload: dict[str, Any]) -> None:
        """Abort a multipart upload; if that fails now, orphan cleanup does it later."""
        try:
            self._s3.request("abort_multipart_upload", **upload)
        except ObjectMissing:
            pass
        except ServiceError as error:
            log.warning("storage_upload_not_aborted", extra={"reason": error.detail})

    def copy(self, existing: str, key: str, content: ContentFacts) -> None:
        """Copy an object inside the bucket until the key has its content."""
        source = {"Bucket": self._s3.bucket, "Key": existing}
        self._write_until_stored(
            key, content, lambda: self._s3.request_once("copy_object", Key=key, CopySource=source)
        )

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
        head = self._s3.head(key)
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
                Key=key,
                CopySource={"Bucket": self._s3.bucket, "Key": key},
                Metadata={"sha256": content.sha256},
                # S3 refuses to copy an object onto itself unless something changes.
                MetadataDirective="REPLACE",
            )
