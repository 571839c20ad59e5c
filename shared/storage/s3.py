"""A storage in an S3 bucket, with a local cache of the files in use."""

from __future__ import annotations

import hashlib
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.errors import AssetUnreadable, Unavailable
from shared.storage.base import CHUNK_BYTES, Storage, disk_full_as_storage_error
from shared.storage.local_cache import LocalCache
from shared.storage.s3_client import (
    MAX_TRIES,
    S3,
    NameTaken,
    ObjectMissing,
    sleep_before_retry,
    translate_errors,
)
from shared.storage.s3_parts import ContentFacts
from shared.storage.s3_writer import MAX_COPY_BYTES, S3Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from shared.settings import Settings

log = logging.getLogger(__name__)

PARALLEL_HEADS = 8


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
        self._writer = S3Writer(s3)

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
        head = self._s3.head(self._key(key))
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
            heads = list(pool.map(lambda key: self._s3.head(self._key(key)), unique))
        return {key for key, head in zip(unique, heads, strict=True) if head is not None}

    # Writing.

    @contextmanager
    def create(self, key: str) -> Iterator[IO[bytes]]:
        """Write a local file, upload it when the block ends, and keep it in the cache."""
        with self._cache.new_part() as part:
            with disk_full_as_storage_error(), part.open("xb") as file:
                yield file
            self._writer.store(part, self._key(key))
            self._cache.add(part, key)

    def put(self, source: Path, key: str) -> None:
        """Upload the file and keep it in the cache."""
        self._writer.store(source, self._key(key))
        self._cache.add(source, key)

    def link(self, source: Path, key: str) -> None:
        """Upload the file under the second key too."""
        self._writer.store(source, self._key(key))

    def copy(self, existing: str, key: str) -> None:
        """Copy the object inside the bucket."""
        head = self._s3.head(self._key(existing))
        if head is None:
            raise AssetUnreadable("A stored file is missing.")
        content = ContentFacts.from_head(head)
        if content.bytes > MAX_COPY_BYTES:
            self.link(self.locate(existing), key)
            return
        try:
            self._writer.copy(self._key(existing), self._key(key), content)
        except ObjectMissing:
            raise AssetUnreadable("A stored file is missing.") from None

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
                    self._writer.abort({"Key": upload["Key"], "UploadId": upload["UploadId"]})
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
