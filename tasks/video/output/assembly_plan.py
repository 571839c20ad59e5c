"""What assembly needs: a video's plan with the local path of each of its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.storage.factory import storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.media.probing import Media
    from shared.script.timeline import Timeline
    from shared.script.values import Output, Script
    from tasks.video.captions.cues import Cue
    from tasks.video.plan.video_plan import Plan


@dataclass(frozen=True, slots=True)
class AssemblyPlan:
    """A plan with local files: `speech` by scene id, `sources` and their facts `media` by `src`."""

    script: Script
    output: Output
    timeline: Timeline
    segments: Sequence[Path]
    cues: Sequence[Cue] = ()
    speech: Mapping[str, Path] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)
    media: Mapping[str, Media] = field(default_factory=dict)


def build_assembly_plan(plan: Plan, segments: Sequence[Path]) -> AssemblyPlan:
    """Return the assembly plan; `segments` are the rendered files in order. Files are fetched from storage if need be."""
    return AssemblyPlan(
        script=plan.script,
        output=plan.output,
        timeline=plan.timeline,
        cues=plan.cues,
        segments=tuple(segments),
        speech={
            scene: storage().locate(narration.storage_key) for scene, narration in plan.narration.items()
        },
        sources={src: storage().locate(source.storage_key) for src, source in plan.sources.items()},
        media={src: source.media for src, source in plan.sources.items()},
    )
