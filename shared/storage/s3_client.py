"""An S3 client: single requests with our own time limits, retries and errors."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from shared.errors import ServiceError, StorageFull, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import Settings

log = logging.getLogger(__name__)

MAX_TRIES = 4
RETRY_SECONDS = 0.2  # before the second try; doubled for each further one
CONNECT_SECONDS = 3.0
MAX_CONNECTIONS = 32
# 409: two writers want the same key at once. RequestTimeout is a 400: the server waited for us.
_TRANSIENT_STATUSES = (408, 409, 425, 429, 500, 502, 503, 504)
_TRANSIENT_CODES = ("RequestTimeout", "RequestTimeTooSkewed", "SlowDown")
_FULL_CODES = ("XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded")


class ObjectMissing(ServiceError):
    """There is no such object, or upload."""


class NameTaken(ServiceError):
    """The key has an object already."""


class AccessDenied(Unavailable):
    """Wrong keys, no such bucket, or a request that the server does not support. The operator has to fix it."""


class S3:
    """A client of one bucket. Threads may share it, and it works after a fork."""

    def __init__(self, bucket: str, config: Settings) -> None:
        self.bucket = bucket
        self._config = config
        self._lock = threading.Lock()
        self._client: tuple[int, Any] | None = None

    def request_once(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make one request, or raise ObjectMissing, NameTaken or Unavailable. After Unavailable its effect is unknown."""
        with translate_errors():
            answer: dict[str, Any] = getattr(self._of_this_process(), operation)(
                Bucket=self.bucket, **parameters
            )
        return answer

    def request(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a request that may be repeated, with retries."""
        for number in range(MAX_TRIES - 1):
            try:
                return self.request_once(operation, **parameters)
            except AccessDenied:
                raise
            except Unavailable as error:
                log.warning(
                    "storage_request_retried", extra={"operation": operation, "reason": _cause(error)}
                )
                sleep_before_retry(number)
        return self.request_once(operation, **parameters)

    def head(self, key: str) -> dict[str, Any] | None:
        """Return the facts of an object, or None if there is none."""
        with suppress(ObjectMissing):
            return self.request("head_object", Key=key)
        return None

    def _of_this_process(self) -> Any:
        with self._lock:
            # A forked child would share the parent's TLS connections, and both would read each other's bytes.
            if self._client is None or self._client[0] != os.getpid():
                self._client = os.getpid(), self._connect()
            return self._client[1]

    def _connect(self) -> Any:
        config = self._config
        return _session().create_client(
            "s3",
            region_name=config.s3_region,
            endpoint_url=config.s3_endpoint or None,
            # Without keys, botocore asks for the role of the machine or pod.
            aws_access_key_id=config.s3_access_key.get_secret_value() or None,
            aws_secret_access_key=config.s3_secret_key.get_secret_value() or None,
            verify=config.ca_file,
            config=Config(
                signature_version="s3v4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=config.s3_timeout.total_seconds(),
                # Retries are ours: botocore's would multiply them, and repeat writes whose effect is unknown.
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=MAX_CONNECTIONS,
                # Other servers than Amazon's rarely have a DNS name for each bucket.
                s3={"addressing_style": "path" if config.s3_endpoint else "auto"},
                # We send the SHA-256 ourselves; servers other than Amazon's may not support other checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


@lru_cache(maxsize=1)
def _session() -> Any:
    """Return what all clients share: loading botocore's description of S3 takes the longest."""
    return botocore.session.Session()


def sleep_before_retry(number: int) -> None:
    """Wait before the next try: exponential backoff with jitter."""
    time.sleep(RETRY_SECONDS * 2**number * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn botocore's errors into ours. Their text goes to the log, and not to the client."""
    try:
        yield
    except ClientError as error:
        raise _translate(error) from error
    except ParamValidationError:
        raise  # a bug of ours
    except BotoCoreError as error:
        raise Unavailable("The storage does not answer. Try again shortly.") from error


def _translate(error: ClientError) -> ServiceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status == 404 and code != "NoSuchBucket":
        return ObjectMissing(code)
    if status == 412:
        return NameTaken(code)
    if status == 507 or code in _FULL_CODES:
        return StorageFull("There is no room left to store files.")
    if status not in _TRANSIENT_STATUSES and code not in _TRANSIENT_CODES:
        log.error("storage_refused", extra={"code": code, "status": status})
        return AccessDenied("The storage cannot be used now. Try again shortly.")
    return Unavailable("The storage cannot be used now. Try again shortly.")


def _cause(error: BaseException) -> str:
    return type(error.__cause__).__name__ if error.__cause__ else str(error)
