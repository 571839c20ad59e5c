"""What is sent to the workers: the name of a task and the id of what is to be done, never the work itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from shared.names import TaskName

if TYPE_CHECKING:
    import uuid

    from shared.models import Job


class PriorityLevel(IntEnum):
    """How soon a message is taken: the lowest first. They are steps that Celery's Redis transport has."""

    URGENT = 0
    HIGH = 3
    NORMAL = 6
    LOW = 9


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a task's name and the id that it carries. The rest is for logs, for Flower and for its place."""

    task: TaskName
    id: uuid.UUID
    job_id: uuid.UUID
    account_id: uuid.UUID
    request_id: str | None = None
    priority: PriorityLevel = PriorityLevel.NORMAL


def mix_message(job: Job) -> Message:
    """Return the message that has a planned job's sound mixed; it is taken first, since assembly waits for nothing."""
    return Message(TaskName.MIX, job.id, job.id, job.account_id, job.request_id, PriorityLevel.URGENT)
