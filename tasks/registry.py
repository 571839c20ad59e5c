"""Every Celery task: a fixed name from TaskName, one id as argument, one call. Rename functions freely, never the names."""

from __future__ import annotations

from shared.broker import app
from shared.names import TaskName
from shared.states import Stage
from tasks import run
from tasks.script import write_task as script
from tasks.upkeep import sweep as upkeep
from tasks.upkeep import webhook_delivery
from tasks.video import assembly_task, mix_task, plan_task, segment_task


@app.task(name=TaskName.SCRIPT)
def write_script(job_id: str) -> None:
    """Write a script from a job's brief."""
    run.run_job(job_id, script.perform, run.claim_queued(Stage.WRITING))


@app.task(name=TaskName.VIDEO)
def plan_video(job_id: str) -> None:
    """Plan a video and publish its segments."""
    run.run_job(job_id, plan_task.perform, run.claim_queued(Stage.GATHERING))


@app.task(name=TaskName.SEGMENT)
def render_segment(segment_id: str) -> None:
    """Render one segment, or take it from the store."""
    segment_task.perform(segment_id)


@app.task(name=TaskName.MIX)
def mix_sound(job_id: str) -> None:
    """Mix a video's sound while its segments are rendered."""
    mix_task.perform(job_id)


@app.task(name=TaskName.ASSEMBLE)
def assemble_video(job_id: str) -> None:
    """Join rendered segments and sound into the finished video."""
    run.run_job(job_id, assembly_task.perform, run.claim_for_assembly)


@app.task(name=TaskName.DELIVER)
def deliver_webhooks() -> None:
    """Send the webhooks that are due."""
    webhook_delivery.deliver_due()


@app.task(name=TaskName.SWEEP)
def sweep() -> None:
    """Recover jobs and segments that are stuck."""
    upkeep.sweep()


@app.task(name=TaskName.TIDY)
def tidy() -> None:
    """Delete what has expired."""
    upkeep.purge()


@app.task(name=TaskName.MEASURE)
def measure() -> None:
    """Update the queue's gauges."""
    upkeep.measure_queue()
