"""Plans a video: its files, its narration, its timeline, its segments; then the segments' workers have it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.db import transaction
from shared.dispatch import messages, publishing
from shared.lifecycle import jobs
from shared.media.probing import Media
from shared.processes.ffmpeg import Stopped
from shared.script import timeline
from shared.script.schema.canonical import dump_script
from shared.script.schema.loading import load
from shared.script.schema.output import OutputSchema
from shared.script.schema.script import ScriptSchema
from shared.settings import settings
from shared.states import Stage
from shared.storage.factory import storage
from shared.usage import UsageKind
from tasks.cost_tracker import CostTracker
from tasks.lifecycle import assembly, segments
from tasks.script.write_task import write_job_script
from tasks.speech.speech_cache import Speaker
from tasks.video.captions import cues as captions
from tasks.video.output.artifacts import AssemblyPlan
from tasks.video.picture import encoder_choice, encoding
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.plan.narration import SceneNarration, narrate
from tasks.video.plan.segments import Source, plan_segments
from tasks.video.plan.sources import gather_sources, resolve_visuals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.models import Job
    from shared.script.timeline import Timeline
    from shared.script.values import Output, Script
    from tasks.run import Attempt, JobOutput
    from tasks.script.write_task import JobScript as Written
    from tasks.video.captions.cues import Cue
    from tasks.video.plan.segments import PlannedSegment

# How far along a job is when planning reaches a stage: it is quick beside the rendering.
GATHERING_DONE, NARRATION_DONE = 0.02, 0.09


@dataclass(frozen=True)
class Plan:
    """All that planning found out: what assembly needs. What follows from it is computed once, and never kept."""

    script: Script
    output: Output
    found: Mapping[str, Source]
    narrated: Mapping[str, SceneNarration]
    usage: Mapping[str, int]
    credits: Sequence[Mapping[str, Any]] = field(default=())
    warnings: Sequence[str] = field(default=())
    encoder: str = encoding.SOFTWARE
    written: Mapping[str, Any] = field(default_factory=dict)  # who wrote the script, where it came as a brief

    @cached_property
    def timeline(self) -> Timeline:
        """Return when each scene is."""
        lengths = {scene: said.seconds for scene, said in self.narrated.items()}
        return timeline.plan_timeline(self.script, lengths, self.output.fps)

    @cached_property
    def cues(self) -> tuple[Cue, ...]:
        """Return what is captioned, when."""
        words = {scene: said.words for scene, said in self.narrated.items()}
        columns = captions.columns_for(self.output.aspect)
        return captions.make_cues(self.timeline, self.script, words, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return what the job's row keeps."""
        return {
            "script": dump_script(self.script),
            "found": {
                src: {"storage_key": source.storage_key, "media": source.media.to_json()}
                for src, source in self.found.items()
            },
            "narrated": {scene: said.to_json() for scene, said in self.narrated.items()},
            "usage": dict(self.usage),
            "credits": [dict(each) for each in self.credits],
            "warnings": list(self.warnings),
            "encoder": self.encoder,
            "written": dict(self.written),
        }


def load_plan(job: Job) -> Plan:
    """Return the plan that a planned job's row keeps."""
    kept = job.plan or {}
    return Plan(
        script=load(ScriptSchema(), kept["script"]),
        output=load(OutputSchema(), job.spec["output"]),
        found={
            src: Source(src=src, storage_key=facts["storage_key"], media=Media.from_json(facts["media"]))
            for src, facts in kept["found"].items()
        },
        narrated={scene: SceneNarration.from_json(facts) for scene, facts in kept["narrated"].items()},
        usage=kept["usage"],
        credits=kept.get("credits", ()),
        warnings=kept.get("warnings", ()),
        encoder=kept["encoder"],
        written=kept.get("written", {}),
    )


def build_assembly_plan(plan: Plan, segments: Sequence[Path]) -> AssemblyPlan:
    """Return what assembly is told: the plan, with the places of its files."""
    return AssemblyPlan(
        script=plan.script,
        output=plan.output,
        timeline=plan.timeline,
        cues=plan.cues,
        segments=tuple(segments),
        speech={scene: storage().locate(said.storage_key) for scene, said in plan.narrated.items()},
        sources={src: storage().locate(found.storage_key) for src, found in plan.found.items()},
        media={src: found.media for src, found in plan.found.items()},
    )


def perform(attempt: Attempt) -> JobOutput | None:
    """Plan the job, lay its segments down, publish those that are not stored yet."""
    job = attempt.job
    plan = _make_plan(attempt, *_load_or_write_script(attempt))
    attempt.raise_if_stopped()
    wanted = plan_segments(
        plan.timeline,
        plan.script,
        plan.output,
        plan.found,
        plan.cues,
        account=str(job.account_id),
        versions=renderer_versions(settings().ffmpeg),
        encoder=plan.encoder,
    )
    attempt.raise_if_stopped()
    _store_plan(job, plan, wanted)
    return None


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


def _store_plan(job: Job, plan: Plan, wanted: tuple[PlannedSegment, ...]) -> None:
    planned = [segments.PlannedSegment(each.key, each.frames, each.scene_ids, each.spec) for each in wanted]
    with transaction() as session:
        if not jobs.hand_over_to_segments(session, job.id, job.attempt, plan.to_json()):
            raise Stopped
        complete = segments.replace_segments(session, job, planned) and assembly.begin(session, job.id)
    if not complete:
        publishing.send([messages.mix_message(job)])
    publishing.publish(job.account_id)
