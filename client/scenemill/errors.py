"""What can go wrong for a caller of the client.

ScenemillError
├── ApiError        the API refused: status, words, and a pointer for each wrong place
├── Unreachable     no answer, or none but "try later", after all retries
├── IntegrityError  what was downloaded is not what the API announced
├── MediaMissing    a file that the script names cannot be had
└── JobFailed       the job ended, and not well
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class ScenemillError(Exception):
    """Any failure that the client foresees."""

    exit_code = 1


class ApiError(ScenemillError):
    """The API refused a request. Its problem document is in `problem`."""

    exit_code = 3

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem

    @property
    def places(self) -> list[tuple[str, str]]:
        """Return (JSON pointer, what is wrong there), all of them."""
        errors = self.problem.get("errors") or []
        return [(str(one.get("pointer", "")), str(one.get("detail", ""))) for one in errors]

    def __str__(self) -> str:
        title = self.problem.get("title") or "The request was refused"
        detail = self.problem.get("detail")
        lines = [f"{title} ({self.status})" + (f": {detail}" if detail and detail != title else "")]
        lines += [f"  {pointer}: {what}" for pointer, what in self.places]
        if self.status >= 500 and (request_id := self.problem.get("request_id")):
            lines.append(f"  request {request_id}")
        return "\n".join(lines)


def refusal(answer: httpx.Response) -> ApiError:
    """Return the error that an answer stands for, problem document or not."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": answer.reason_phrase or "Refused"}
    return ApiError(answer.status_code, problem)


class Unreachable(ScenemillError):
    """The API did not answer, in spite of retries."""

    exit_code = 4


class IntegrityError(ScenemillError):
    """A downloaded file differs from what the API announced."""

    exit_code = 5


class MediaMissing(ScenemillError):
    """A script names a local file that is not there, or lies outside its folder."""

    exit_code = 2


class JobFailed(ScenemillError):
    """A job ended as failed or canceled."""

    exit_code = 1
