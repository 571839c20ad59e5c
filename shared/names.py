"""The names of queues and tasks. Messages carry them, so they stay the same when functions are renamed."""

from __future__ import annotations

from enum import StrEnum


class QueueName(StrEnum):
    """The queues; each has workers of its own."""

    SCRIPTS = "scripts"
    RENDERS = "renders"
    CONTROL = "control"


class TaskName(StrEnum):
    """The Celery tasks. Those that work on a job take one id and nothing else."""

    SCRIPT = "jobs.script"
    VIDEO = "jobs.video"
    SEGMENT = "segments.render"
    MIX = "videos.mix"
    ASSEMBLE = "videos.assemble"
    DELIVER = "webhooks.deliver"
    SWEEP = "upkeep.sweep"
    TIDY = "upkeep.tidy"
    MEASURE = "upkeep.measure"


TASK_QUEUES: dict[TaskName, QueueName] = {
    TaskName.SCRIPT: QueueName.SCRIPTS,
    TaskName.VIDEO: QueueName.RENDERS,
    TaskName.SEGMENT: QueueName.RENDERS,
    TaskName.MIX: QueueName.RENDERS,
    TaskName.ASSEMBLE: QueueName.RENDERS,
    TaskName.DELIVER: QueueName.CONTROL,
    TaskName.SWEEP: QueueName.CONTROL,
    TaskName.TIDY: QueueName.CONTROL,
    TaskName.MEASURE: QueueName.CONTROL,
}

JOB_TASKS: dict[str, TaskName] = {"script": TaskName.SCRIPT, "video": TaskName.VIDEO}
