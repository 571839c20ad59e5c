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
    from tasks.attempt import Attempt
    from tasks.script.write_task import JobScript as Written
    from tasks.video.plan.segments import SegmentPlan

# Progress at the end of each planning stage, of 1: planning is quick beside the rendering.
GATHERING_DONE, NARRATION_DONE = 0.02, 0.09


def plan_video(attempt: Attempt) -> Plan:
    """Return the plan of the attempt's job; it holds everything that segments and assembly need."""
    return _make_plan(attempt, *_load_or_write_script(attempt))


def plan_job_segments(job: Job, plan: Plan) -> tuple[SegmentPlan, ...]:
    """Return the segments of a planned job, keyed for its account and this worker's renderer."""
    return plan_segments(
        plan.timeline,
        plan.script,
        plan.output,
        plan.sources,
        plan.cues,
        account=str(job.account_id),
        versions=renderer_versions(settings().ffmpeg),
        encoder=plan.encoder,
    )


def _load_or_write_script(attempt: Attempt) -> tuple[Script, Written | None]:
    """Return the job's script, or the one written for its brief with the model's name, its tokens and its warnings."""
    spec = attempt.job.spec
    if "script" in spec:
        return load(ScriptSchema(), spec["script"]), None
    written = write_job_script(attempt)
    return load(ScriptSchema(), written.document), written


def _make_plan(attempt: Attempt, script: Script, written: Written | None) -> Plan:
    """Return the plan; report progress by stage, and count what the providers cost."""
    job = attempt.job
    attempt.report_progress(Stage.GATHERING, 0.0)
    output = load(OutputSchema(), job.spec["output"])
    cost_tracker = CostTracker(job)
    sources = gather_sources(job, script, stop=attempt.should_stop)
    resolved = resolve_visuals(job, script, output, sources, cost_tracker, stop=attempt.should_stop)
    # From here on, each scene has the visual that is shown: later steps never see a stock query or a fallback.
    script = replace(script, scenes=resolved.scenes)
    sources = {**sources, **resolved.sources}
    attempt.report_progress(Stage.NARRATING, GATHERING_DONE)
    no_cache = bool(job.spec.get("no_cache"))
    narration = narrate(
        Speaker(job.account_id, cost_tracker, attempt.workdir, attempt.should_stop, no_cache), script, sources
    )
    attempt.report_progress(Stage.NARRATING, NARRATION_DONE)
    usage = {
        "llm_tokens": written.tokens if written else 0,
        "speech_characters": sum(scene_narration.characters for scene_narration in narration.scenes.values()),
        "images": round(cost_tracker.spent[UsageKind.IMAGES]),
    }
    return Plan(
        script,
        output,
        sources,
        narration.scenes,
        usage,
        credits=resolved.credits,
        warnings=(*(written.warnings if written else ()), *resolved.warnings, *narration.warnings),
        encoder=encoder_choice.choose_encoder(settings().encoder, settings().ffmpeg),
        script_origin={"model": written.model, "cached": written.cached} if written else {},
    )
