"""Every failure that Scenemill foresees, once, in the words that a client reads.

ServiceError
├── NotFound             404  no such thing, or not yours
├── Unauthenticated      401  no valid key
├── Forbidden            403  the key lacks a scope
├── BadRequest           400  the body cannot be read at all
├── Invalid              422  the input is wrong, with a pointer for each place
├── Conflict             409  the state does not allow it
├── Gone                 410  it was there, and is over
├── UnsupportedMedia     415  the bytes are not what we take
├── TooLarge             413  over a limit of size
├── Locked               423  another request has it
├── TooMany              429  over a limit of rate
│   └── TooManyAtOnce         too-many-at-once: waiting alone does not help, something must end
├── JobFailed            a job cannot be done, with its stable code
│   ├── AssetUnreadable       asset-unreadable
│   ├── ScriptInvalid         llm-invalid-script
│   ├── ModelRefused          llm-unavailable, and trying again would not help
│   ├── SpeechFailed          speech-failed
│   ├── RenderFailed          render-failed
│   ├── RenderTimeout         render-timeout
│   ├── QuotaExceeded         quota-exceeded
│   └── WorkerLost            worker-lost
└── Unavailable          503  try again: retryable
    ├── AssetUnavailable      asset-unreadable, where it may be had later
    ├── ModelUnavailable      llm-unavailable
    ├── SpeechUnavailable     speech-failed, where another try may go well
    ├── RenderKilled          render-failed, where another try may go well
    ├── RenderStalled         render-timeout, the same
    └── StorageFull

The module does no I/O. An error can be rebuilt from its `args`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class ServiceError(Exception):
    """A failure that we foresaw and can explain to whoever asked.

    The first argument is a sentence for a client: no path, no SQL, no command line.
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
        """Return the RFC 9457 form, the same on the wire and in the job's row."""
        return {
            "type": f"/problems/{self.code}",
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }


class NotFound(ServiceError):
    """No such thing, or it belongs to another account: the two look the same."""

    status, code, title = 404, "not-found", "Not found"


class Unauthenticated(ServiceError):
    """No key, or one that is unknown, revoked or misspelt."""

    status, code, title = 401, "unauthenticated", "Authentication required"


class Forbidden(ServiceError):
    """The key is good and lacks a scope."""

    status, code, title = 403, "forbidden", "Not allowed"


class BadRequest(ServiceError):
    """What came cannot be read: no JSON, or not in one way only."""

    status, code, title = 400, "bad-request", "Bad request"


class Invalid(ServiceError):
    """The input is wrong. `args[1]` is a tuple of (JSON pointer, detail) pairs, all of them."""

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
    """The same Idempotency-Key came with another body."""

    status, code, title = 422, "idempotency-key-reused", "Idempotency key reused"


class Conflict(ServiceError):
    """The state of the thing does not allow it, or someone else was first."""

    status, code, title = 409, "conflict", "Conflict"


class Gone(ServiceError):
    """The thing was there, and is over: ended, expired or refused."""

    status, code, title = 410, "gone", "Gone"


class UnsupportedMedia(ServiceError):
    """The bytes are none of the media that we take."""

    status, code, title = 415, "unsupported-media", "Unsupported media"


class TooLarge(ServiceError):
    """A body over its limit."""

    status, code, title = 413, "too-large", "Too large"


class Locked(ServiceError):
    """Another request has the thing, and only one may."""

    status, code, title = 423, "locked", "Locked"


class RateLimitExceeded(ServiceError):
    """Requests come too fast."""

    status, code, title = 429, "too-fast", "Too many requests"


class ConcurrencyLimitExceeded(RateLimitExceeded):
    """An account has too many of something under way at once: requests, streams of events, unfinished uploads."""

    code, title = "too-many-at-once", "Too many at once"


class JobFailed(ServiceError):
    """A job cannot be done; trying again would not help."""

    status, code, title = 500, "render-failed", "The job failed"


class AssetUnreadable(JobFailed):
    """An asset is missing, or is not what it seemed."""

    status, code, title = 422, "asset-unreadable", "Unreadable asset"


class ScriptInvalid(JobFailed):
    """The model did not give a usable script."""

    status, code, title = 502, "llm-invalid-script", "No usable script"


class ModelRefused(JobFailed):
    """The LLM's endpoint refuses for good: a wrong key or model, or no credit left."""

    status, code, title = 502, "llm-unavailable", "Language model refused"


class SpeechFailed(JobFailed):
    """A text could not be spoken."""

    status, code, title = 500, "speech-failed", "Speech failed"


class RenderFailed(JobFailed):
    """ffmpeg failed, or made something else than was planned."""

    status, code, title = 500, "render-failed", "Rendering failed"


class RenderTimeout(JobFailed):
    """ffmpeg ran past its limit, or stood still."""

    status, code, title = 504, "render-timeout", "Rendering took too long"


class QuotaExceeded(JobFailed):
    """An account's limit does not allow more."""

    status, code, title = 403, "quota-exceeded", "Quota exceeded"


class WorkerLost(JobFailed):
    """Every attempt ended with the loss of its worker."""

    status, code, title = 500, "worker-lost", "Worker lost"


class Unavailable(ServiceError):
    """Something that we depend on is away for now. `args[1]`, where given, is in how many seconds to try again."""

    status, code, title, retryable = 503, "unavailable", "Temporarily unavailable", True

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before another try, where someone has told us."""
        return float(self.args[1]) if len(self.args) > 1 else None


class AssetUnavailable(Unavailable):
    """An asset, or a file that a script names by its address, cannot be had, though another time it may be."""

    status, code, title = AssetUnreadable.status, AssetUnreadable.code, AssetUnreadable.title


class ModelUnavailable(Unavailable):
    """The LLM's endpoint cannot be reached or refuses for now."""

    code, title = "llm-unavailable", "Language model unavailable"


class SpeechUnavailable(Unavailable):
    """A text could not be spoken, though another time it may be."""

    status, code, title = SpeechFailed.status, SpeechFailed.code, SpeechFailed.title


class RenderKilled(Unavailable):
    """ffmpeg failed, here because it was killed from outside: most often by the kernel, when memory ran out."""

    code, title = "render-failed", "Rendering failed"


class RenderStalled(Unavailable):
    """ffmpeg stood still. The machine may be to blame, or another that it waits for: another attempt may go through."""

    status, code, title = 504, "render-timeout", "Rendering took too long"


class StorageFull(Unavailable):
    """There is no room for what was to be written."""

    code, title = "storage-full", "Storage is full"


# As what a job may fail: clients are promised that there are no others.
JOB_CODES = frozenset(
    {
        "asset-unreadable", "llm-unavailable", "llm-invalid-script", "speech-failed", "render-failed", "render-timeout",
        "worker-lost", "quota-exceeded",
    }
)  # fmt: skip


def as_job_error(error: ServiceError) -> ServiceError:
    """Return the error that a job ends with, where it ends because of this one."""
    return error if error.code in JOB_CODES else JobFailed(error.detail)
