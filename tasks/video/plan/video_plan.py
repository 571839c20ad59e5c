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
    """What planning decided. The timeline and the cues follow from it, so they are computed again and not stored."""

    script: Script
    output: Output
    sources: Mapping[str, Source]
    narration: Mapping[str, SceneNarration]
    usage: Mapping[str, int]
    credits: Sequence[Mapping[str, Any]] = field(default=())
    warnings: Sequence[str] = field(default=())
    encoder: str = encoding.SOFTWARE
    script_origin: Mapping[str, Any] = field(
        default_factory=dict
    )  # the model that wrote the script of a brief

    @cached_property
    def timeline(self) -> Timeline:
        """The frames of each scene."""
        lengths = {scene: spoken_scene.seconds for scene, spoken_scene in self.narration.items()}
        return timeline.plan_timeline(self.script, lengths, self.output.fps)

    @cached_property
    def cues(self) -> tuple[Cue, ...]:
        """The captions of the whole video, in order."""
        words = {scene: spoken_scene.words for scene, spoken_scene in self.narration.items()}
        columns = captions.columns_for(self.output.aspect)
        return captions.make_cues(self.timeline, self.script, words, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that the job's row stores and `load_plan` reads."""
        # These names are stored: a job may be planned by one release and assembled by the next.
        return {
            "script": dump_script(self.script),
            "found": {
                src: {"storage_key": source.storage_key, "media": source.media.to_json()}
                for src, source in self.sources.items()
            },
            "narrated": {scene: spoken_scene.to_json() for scene, spoken_scene in self.narration.items()},
            "usage": dict(self.usage),
            "credits": [dict(credit) for credit in self.credits],
            "warnings": list(self.warnings),
            "encoder": self.encoder,
            "written": dict(self.script_origin),
        }


def load_plan(job: Job) -> Plan:
    """Return the plan that a planned job's row stores."""
    stored = job.plan or {}
    return Plan(
        script=load(ScriptSchema(), stored["script"]),
        output=load(OutputSchema(), job.spec["output"]),
        sources={
            src: Source(src=src, storage_key=facts["storage_key"], media=Media.from_json(facts["media"]))
            for src, facts in stored["found"].items()
        },
        narration={scene: SceneNarration.from_json(facts) for scene, facts in stored["narrated"].items()},
        usage=stored["usage"],
        # Rows planned by older releases lack these.
        credits=stored.get("credits", ()),
        warnings=stored.get("warnings", ()),
        encoder=stored["encoder"],
        script_origin=stored.get("written", {}),
    )
