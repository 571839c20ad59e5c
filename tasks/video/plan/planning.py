"""Plans a video: loads or writes its script, gathers its files, resolves its visuals and has its narration spoken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.script.schema.loading import load
from shared.script.schema.output import OutputSchema
from shared.script.schema.script import ScriptSchema
from shared.settings import settings
from shared.states import Stage
from shared.usage import UsageKind
from tasks.cost_tracker import CostTracker
from tasks.script.write_task import write_job_script
from tasks.speech.speech_cache import Speaker
from tasks.video.picture import encoder_choice
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.plan.narration import narrate
from tasks.video.plan.segments import plan_segments
from tasks.video.plan.sources import gather_sources, resolve_visuals
from tasks.video.plan.video_plan import Plan

if TYPE_CHECKING:
    from shared.models import Job
    from shared.script.values import Script
    from tasks.run import Attempt
    from tasks.script.write_task import JobScript as Written
    from tasks.video.plan.segments import PlannedSegment

# Progress at the end of each planning stage, of 1: planning is quick beside the rendering.
GATHERING_DONE, NARRATION_DONE = 0.02, 0.09


def plan_video(attempt: Attempt) -> Plan:
    """Return the plan of the attempt's job; it holds everything that segments and assembly need."""
    return _make_plan(attempt, *_load_or_write_script(attempt))


def plan_job_segments(job: Job, plan: Plan) -> tuple[PlannedSegment, ...]:
    """Return the segments of a planned job, keyed for its account and this worker's renderer."""
    return plan_segments(
        plan.timeline,
        plan.script,
        plan.output,
        plan.found,
        plan.cues,
        account=str(job.account_id),
        versions=renderer_versions(settings().ffmpeg),
        encoder=plan.encoder,
    )


def _load_or_write_script(attempt: Attempt) -> tuple[Script, Written | None]:
    """Return the script that the job came with, or have one written; and who wrote it then, and what it cost."""
    spec = attempt.job.spec
    if "script" in spec:
        return load(ScriptSchema(), spec["script"]), None
    written = write_job_script(attempt)
    return load(ScriptSchema(), written.document), written


def _make_plan(attempt: Attempt, script: Script, written: Written | None) -> Plan:
    job = attempt.job
    attempt.report_progress(Stage.GATHERING, 0.0)
    output = load(OutputSchema(), job.spec["output"])
    purse = CostTracker(job)
    found = gather_sources(job, script, stop=attempt.should_stop)
    shown = resolve_visuals(job, script, output, found, purse, stop=attempt.should_stop)
    script = replace(script, scenes=shown.scenes)
    found = {**found, **shown.sources}
    attempt.report_progress(Stage.NARRATING, GATHERING_DONE)
    fresh = bool(job.spec.get("no_cache"))
    told = narrate(Speaker(job.account_id, purse, attempt.workdir, attempt.should_stop, fresh), script, found)
    attempt.report_progress(Stage.NARRATING, NARRATION_DONE)
    usage = {
        "llm_tokens": written.tokens if written else 0,
        "speech_characters": sum(said.characters for said in told.scenes.values()),
        "images": round(purse.spent[UsageKind.IMAGES]),
    }
    return Plan(
        script,
        output,
        found,
        told.scenes,
        usage,
        credits=shown.credits,
        warnings=(*(written.warnings if written else ()), *shown.warnings, *told.warnings),
        encoder=encoder_choice.choose_encoder(settings().encoder, settings().ffmpeg),
        written={"model": written.model, "cached": written.cached} if written else {},
    )
