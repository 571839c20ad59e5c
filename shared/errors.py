"""Every error that a client can receive, with its status, code and title.

ServiceError
├── NotFound             404  it does not exist, or belongs to another account
├── Unauthenticated      401  no valid key
├── Forbidden            403  the key lacks a scope
├── BadRequest           400  the body cannot be parsed
├── Invalid              422  the input is wrong, with a pointer for each place
├── Conflict             409  the current state does not allow it
├── Gone                 410  it has ended, expired or been refused
├── UnsupportedMedia     415  the file is not of an accepted type
├── TooLarge             413  over a size limit
├── Locked               423  another request is using it
├── RateLimitExceeded    429  over a rate limit
│   └── ConcurrencyLimitExceeded   too-many-at-once: something has to end first
├── JobFailed            a job cannot be done, with its stable code
│   ├── AssetUnreadable       asset-unreadable
│   ├── ScriptInvalid         llm-invalid-script
│   ├── ModelRefused          llm-unavailable, not retried
│   ├── SpeechFailed          speech-failed
│   ├── RenderFailed          render-failed
│   ├── RenderTimeout         render-timeout
│   ├── QuotaExceeded         quota-exceeded
│   └── WorkerLost            worker-lost
└── Unavailable          503  retryable
    ├── AssetUnavailable      asset-unreadable, retried
    ├── ModelUnavailable      llm-unavailable, retried
    ├── SpeechUnavailable     speech-failed, retried
    ├── RenderKilled          render-failed, retried
    ├── RenderStalled         render-timeout, retried
    └── StorageFull

An error can be rebuilt from its `args`, since Celery carries it between processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class ServiceError(Exception):
    """An expected failure, explained to the client.

    The first argument is a sentence for a client: it has no path, no SQL, no command line.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    @property
    def detail(self) -> str:
        """The sentence that a client reads."""
        return str(self.args[0]) if self.args else self.title

    def problem(self) -> dict[str, Any]:
        """Return the RFC 9457 problem document, the same in a response and in the job's row."""
        return {
            "type": f"/problems/{self.code}",
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }


class NotFound(ServiceError):
    """It does not exist, or it belongs to another account: the two look the same."""

    status, code, title = 404, "not-found", "Not found"


class Unauthenticated(ServiceError):
    """There is no key, or the key is unknown, revoked or misspelt."""

    status, code, title = 401, "unauthenticated", "Authentication required"


class Forbidden(ServiceError):
    """The key is valid and lacks a scope."""

    status, code, title = 403, "forbidden", "Not allowed"


class BadRequest(ServiceError):
    """The request cannot be parsed, or could be read in two ways."""

    status, code, title = 400, "bad-request", "Bad request"


class Invalid(ServiceError):
    """The input is wrong. `args[1]` is a tuple of (JSON pointer, detail) pairs, one for each place."""

    status, code, title = 422, "invalid", "Invalid input"

    @classmethod
    def at(cls, pointer: str, detail: str) -> Self:
        """Return the error of one wrong value."""
        return cls.listing([(pointer, detail)])

    @classmethod
    def listing(
        cls, places: Iterable[tuple[str, str]], one: str = "value is wrong", many: str = "values are wrong"
    ) -> Self:
        """Return the error of all these (JSON pointer, detail) pairs; its detail counts them: "2 values are wrong."."""
        listed = tuple(places)
        return cls(f"{len(listed)} {one if len(listed) == 1 else many}.", listed)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The (JSON pointer, detail) pairs."""
        return self.args[1] if len(self.args) > 1 else ()

    def problem(self) -> dict[str, Any]:
        """Add the list of places to the problem document."""
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in self.places]
        return {**super().problem(), "errors": errors}


class IdempotencyKeyReused(ServiceError):
    """The same Idempotency-Key came with a different body."""

    status, code, title = 422, "idempotency-key-reused", "Idempotency key reused"


class Conflict(ServiceError):
    """The current state does not allow it, or another request was first."""

    status, code, title = 409, "conflict", "Conflict"


class Gone(ServiceError):
    """It existed, and has ended, expired or been refused."""

    status, code, title = 410, "gone", "Gone"


class UnsupportedMedia(ServiceError):
    """The file is not of an accepted type."""

    status, code, title = 415, "unsupported-media", "Unsupported media"


class TooLarge(ServiceError):
    """The body is over its size limit."""

    status, code, title = 413, "too-large", "Too large"


class Locked(ServiceError):
    """Another request is using it, and only one may."""

    status, code, title = 423, "locked", "Locked"


class RateLimitExceeded(ServiceError):
    """The caller sends requests faster than allowed."""

    status, code, title = 429, "too-fast", "Too many requests"


class ConcurrencyLimitExceeded(RateLimitExceeded):
    """An account has too much under way at once: requests, event streams, unfinished uploads."""

    code, title = "too-many-at-once", "Too many at once"


class JobFailed(ServiceError):
    """A job cannot be done; a retry would not help."""

    status, code, title = 500, "render-failed", "The job failed"


class AssetUnreadable(JobFailed):
    """An asset is missing, or its content does not match what was stored about it."""

    status, code, title = 422, "asset-unreadable", "Unreadable asset"


class ScriptInvalid(JobFailed):
    """The model returned no usable script."""

    status, code, title = 502, "llm-invalid-script", "No usable script"


class ModelRefused(JobFailed):
    """The LLM's endpoint refuses permanently: a wrong key or model, or no credit left."""

    status, code, title = 502, "llm-unavailable", "Language model refused"


class SpeechFailed(JobFailed):
    """A text could not be spoken."""

    status, code, title = 500, "speech-failed", "Speech failed"


class RenderFailed(JobFailed):
    """ffmpeg failed, or its output is not what was planned."""

    status, code, title = 500, "render-failed", "Rendering failed"


class RenderTimeout(JobFailed):
    """ffmpeg ran past its time limit."""

    status, code, title = 504, "render-timeout", "Rendering took too long"


class QuotaExceeded(JobFailed):
    """A budget of the job or the account does not allow more."""

    status, code, title = 403, "quota-exceeded", "Quota exceeded"


class WorkerLost(JobFailed):
    """Every attempt ended with the loss of its worker."""

    status, code, title = 500, "worker-lost", "Worker lost"


class Unavailable(ServiceError):
    """A dependency is unavailable for now. `args[1]`, where given, is the number of seconds to wait."""

    status, code, title, retryable = 503, "unavailable", "Temporarily unavailable", True

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before another try; None where nothing says so."""
        return float(self.args[1]) if len(self.args) > 1 else None


class AssetUnavailable(Unavailable):
    """An asset, or a file that a script names by URL, cannot be fetched for now."""

    status, code, title = AssetUnreadable.status, AssetUnreadable.code, AssetUnreadable.title


class ModelUnavailable(Unavailable):
    """The LLM's endpoint cannot be reached, or refuses for now."""

    code, title = "llm-unavailable", "Language model unavailable"


class SpeechUnavailable(Unavailable):
    """A text could not be spoken for now."""

    status, code, title = SpeechFailed.status, SpeechFailed.code, SpeechFailed.title


class RenderKilled(Unavailable):
    """ffmpeg was killed from outside, most often by the kernel when memory ran out."""

    code, title = "render-failed", "Rendering failed"


class RenderStalled(Unavailable):
    """ffmpeg made no progress. Another attempt may succeed, as the machine or a slow input may be the cause."""

    status, code, title = 504, "render-timeout", "Rendering took too long"


class StorageFull(Unavailable):
    """The disk or bucket has no space left."""

    code, title = "storage-full", "Storage is full"


# The codes that a job can fail with. The API promises that there are no others.
JOB_CODES = frozenset(
    {
        "asset-unreadable", "llm-unavailable", "llm-invalid-script", "speech-failed", "render-failed", "render-timeout",
        "worker-lost", "quota-exceeded",
    }
)  # fmt: skip


def as_job_error(error: ServiceError) -> ServiceError:
    """Return the error that a job ends with when this one ends it."""
    return error if error.code in JOB_CODES else JobFailed(error.detail)
