"""What can go wrong for a caller of the client.

ScenemillError
├── ApiError           the API refused a request: status, code, detail, and a pointer for each wrong place
├── Unreachable        no answer, or none but "try later", after all retries
├── IntegrityError     what arrived is not what the API announced
├── TaskFailed         a task ended as failed or canceled
├── WaitTimeout        a task or batch did not end within the time that the caller allowed
├── WebhookInvalid     a message is not from Scenemill, is too old, or was changed on its way
└── MediaMissing       a local file that a script names cannot be had
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scenemill.types.problems import Problem
from scenemill.types.value import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenemill.types.batches import Batch
    from scenemill.types.problems import WrongPlace
    from scenemill.types.tasks import Task


class ScenemillError(Exception):
    """Any failure that the client foresees. `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 1


class ApiError(ScenemillError):
    """The API refused a request.

    `problem` is the problem document; its parts are attributes as well. `retry_after` is for how many seconds the
    server asks not to be called again, where it does.
    """

    exit_code = 3

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any],
        *,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = decode(Problem, {"status": status, **problem})
        self.request_id = request_id or self.problem.request_id
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """Return the stable name of the kind of problem, such as `invalid` or `queue-full`."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """Return what is wrong, in a sentence for people."""
        return self.problem.detail

    @property
    def errors(self) -> tuple[WrongPlace, ...]:
        """Return every wrong place of what was sent, each with its JSON pointer."""
        return self.problem.errors

    def __str__(self) -> str:
        title = self.problem.title or "The request was refused"
        detail = f": {self.detail}" if self.detail and self.detail != title else ""
        lines = [f"{title} ({self.status}){detail}"]
        lines += [f"  {one.pointer}: {one.detail}" for one in self.errors]
        if self.status >= 500 and self.request_id:
            lines.append(f"  request {self.request_id}")
        return "\n".join(lines)


class Unreachable(ScenemillError):
    """The API did not answer, in spite of retries."""

    exit_code = 4


class IntegrityError(ScenemillError):
    """What arrived differs from what the API announced."""

    exit_code = 5


class TaskFailed(ScenemillError):
    """A task ended as failed or canceled. `task` is how it ended, `problem` why, where it failed."""

    exit_code = 1

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.task = task

    @property
    def problem(self) -> Problem | None:
        """Return why the task failed, or None where it was canceled."""
        return self.task.error

    def __str__(self) -> str:
        ended = f"Task {self.task.task_id} {self.task.status}"
        if self.problem is None:
            return f"{ended}."
        code = f" ({self.problem.code})" if self.problem.code else ""
        return f"{ended}: {self.problem.detail or self.problem.title}{code}"


class WaitTimeout(ScenemillError):
    """A task or batch did not end in time; it goes on. `last` is how it was seen last."""

    exit_code = 8

    def __init__(self, last: Task | Batch, timeout: float) -> None:
        super().__init__(last, timeout)
        self.last = last
        self.timeout = timeout

    def __str__(self) -> str:
        name = type(self.last).__name__
        return (
            f"{name} {self.last.id} is still {self.last.status} after {self.timeout:g} s"
            f" ({self.last.progress:.0%}). It goes on: wait for it again, or cancel it."
        )


class WebhookInvalid(ScenemillError):
    """A message was not signed with this secret, was changed on its way, or is too old."""


class MediaMissing(ScenemillError):
    """A script names a local file that is not there, or lies outside its folder."""

    exit_code = 2
