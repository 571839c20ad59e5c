"""Every Celery task, three lines each: a name that outlives the function, one id, one call."""

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
    """Write a script from a brief."""
    run.run_job(job_id, script.perform, run.claim_queued(Stage.WRITING))


@app.task(name=TaskName.VIDEO)
def plan_video(job_id: str) -> None:
    """Plan a video and hand it over to its segments."""
    run.run_job(job_id, plan_task.perform, run.claim_queued(Stage.GATHERING))


@app.task(name=TaskName.SEGMENT)
def render_segment(segment_id: str) -> None:
    """Render one segment."""
    segment_task.perform(segment_id)


@app.task(name=TaskName.MIX)
def mix_sound(job_id: str) -> None:
    """Mix a video's sound while its segments are rendered."""
    mix_task.perform(job_id)


@app.task(name=TaskName.ASSEMBLE)
def assemble_video(job_id: str) -> None:
    """Join what was rendered into the finished video."""
    run.run_job(job_id, assembly_task.perform, run.claim_for_assembly)


@app.task(name=TaskName.DELIVER)
def deliver_webhooks() -> None:
    """Send the webhooks that are due."""
    webhook_delivery.deliver_due()


@app.task(name=TaskName.SWEEP)
def sweep() -> None:
    """Repair what keeps jobs from moving."""
    upkeep.sweep()


@app.task(name=TaskName.TIDY)
def tidy() -> None:
    """Throw away what expired."""
    upkeep.purge()


@app.task(name=TaskName.MEASURE)
def measure() -> None:
    """Tell operators how much is unfinished."""
    upkeep.measure_queue()
