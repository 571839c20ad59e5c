"""The messages that go to the workers: a task's name and an id, never the work itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from shared.names import TaskName

if TYPE_CHECKING:
    import uuid

    from shared.models import Job


class PriorityLevel(IntEnum):
    """The urgency of a message, most urgent first. The values are steps that Celery's Redis transport has."""

    URGENT = 0
    HIGH = 3
    NORMAL = 6
    LOW = 9


@dataclass(frozen=True, slots=True)
class Message:
    """A task's name and the id it works on. The other fields are for logs, Flower and the order of delivery."""

    task: TaskName
    id: uuid.UUID
    job_id: uuid.UUID
    account_id: uuid.UUID
    request_id: str | None = None
    priority: PriorityLevel = PriorityLevel.NORMAL


def mix_message(job: Job) -> Message:
    """Return the message that mixes a planned job's sound. It is urgent, so that assembly does not wait for it."""
    return Message(TaskName.MIX, job.id, job.id, job.account_id, job.request_id, PriorityLevel.URGENT)
