"""A planned video as a value, and as the JSON that its job's row keeps between planning and assembly."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.media.probing import Media
from shared.script import timeline
from shared.script.schema.canonical import dump_script
from shared.script.schema.loading import load
from shared.script.schema.output import OutputSchema
from shared.script.schema.script import ScriptSchema
from tasks.video.captions import cues as captions
from tasks.video.picture import encoding
from tasks.video.plan.narration import SceneNarration
from tasks.video.plan.values import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.models import Job
    from shared.script.timeline import Timeline
    from shared.script.values import Output, Script
    from tasks.video.captions.cues import Cue


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
