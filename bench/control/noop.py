"""A worker whose jobs do nothing, or sleep: everything around a job is ours, and the job itself costs no CPU.

`celery -A bench.control.noop`: the workers' own app with the task of script jobs put in place of the real one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.names import TaskName
from shared.states import Stage
from tasks import run
from tasks.run import JobOutput
from workers.app import app

if TYPE_CHECKING:
    from tasks.attempt import Attempt

__all__ = ["app"]

app.tasks.unregister(TaskName.SCRIPT.value)  # Celery would take the member for a task


@app.task(name=TaskName.SCRIPT)
def noop(job_id: str) -> None:
    """Claim the job, do what its brief says, settle it."""
    run.run_job(job_id, perform, run.claim_queued(Stage.WRITING))


def perform(attempt: Attempt) -> JobOutput:
    """Sleep for as many milliseconds as the job's topic says."""
    milliseconds = float(attempt.job.spec["brief"]["topic"])
    if milliseconds:
        time.sleep(milliseconds / 1000)
    return JobOutput({})
