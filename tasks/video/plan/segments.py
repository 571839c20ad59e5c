"""Splits a video into segments, each rendered on its own: a scene's body, or a transition. Pure.

A segment's spec holds all that decides its pixels and nothing else (no scene or job id, no position in the video), so that its
cache key changes only with its pixels. Frames in a spec count from the segment's first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any

from tasks.video.picture import encoding, theme
from tasks.video.plan import text_layers, visual_specs
from tasks.video.plan.values import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shared.script.timeline import Slot, Timeline
    from shared.script.values import Output, Scene, Script
    from tasks.video.captions.cues import Cue
    from tasks.video.plan.values import Source

MAX_SEGMENT_SECONDS = (
    20  # a longer body is cut into equal pieces, so that many workers share it and a crash loses little
)


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A part of the video that one worker renders. `spec` is JSON; `key` is its cache key."""

    index: int
    key: str
    frames: int
    scene_ids: tuple[str, ...]
    spec: dict[str, Any]


def plan_segments(  # noqa: PLR0913  (each decides pixels)
    timeline: Timeline,
    script: Script,
    output: Output,
    sources: Mapping[str, Source],
    cues: Sequence[Cue],
    *,
    account: str,
    versions: Mapping[str, str],
    encoder: str = encoding.SOFTWARE,
) -> tuple[SegmentPlan, ...]:
    """Return the segments in order; together they hold each frame of the timeline once.

    One encoder encodes all of them, or they could not be joined without re-encoding.
    """
    # Facts are dumped once for all segments, or planning 500 scenes takes seconds instead of a tenth of one.
    files = {
        source.media.sha256: {"storage_key": source.storage_key, "media": source.media.to_json()}
        for source in sources.values()
    }
    builder = _SpecBuilder(
        script,
        output,
        sources,
        timeline,
        text_layers.cues_in_frames(cues, script, timeline.fps),
        files,
        encoder,
    )
    planned = []
    for index, span in enumerate(split_spans(timeline)):
        spec = builder.spec(span)
        scene_ids = tuple(slot.id for slot in span.slots)
        planned.append(SegmentPlan(index, segment_key(spec, account, versions), span.frames, scene_ids, spec))
    return tuple(planned)


def split_spans(timeline: Timeline) -> Iterator[Span]:
    """Yield the spans of a timeline's scene bodies and transitions, in order."""
    for slot, after in zip(timeline.scenes, [*timeline.scenes[1:], None], strict=True):
        if slot.transition:
            yield Span(slot.start, slot.transition, (timeline.scenes[slot.index - 1], slot))
        first = slot.start + slot.transition
        frames = slot.end - (after.transition if after else 0) - first
        pieces = ceil(frames / (MAX_SEGMENT_SECONDS * timeline.fps))
        for piece in range(pieces):
            start, end = (first + frames * part // pieces for part in (piece, piece + 1))
            yield Span(start, end - start, (slot,))


def segment_key(spec: Mapping[str, Any], account: str, versions: Mapping[str, str]) -> str:
    """Return the cache key: a hash of all that decides the pixels, files by their content and not by their place."""
    deciding = {name: value for name, value in spec.items() if name != "sources"}
    text = json.dumps(
        {"spec": deciding, "account": account, "versions": dict(versions)},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _SpecBuilder:
    """Builds the spec of each span; holds what all segments of a video share."""

    script: Script
    output: Output
    sources: Mapping[str, Source]
    timeline: Timeline
    cues: list[dict[str, Any]]
    files: Mapping[str, dict[str, Any]]
    encoder: str

    def spec(self, span: Span) -> dict[str, Any]:
        fps = self.timeline.fps
        layers = [self._layer(self.script.scenes[slot.index], slot, span) for slot in span.slots]
        overlays = text_layers.describe_overlays(self.script, self.sources, span, self.timeline)
        captions = text_layers.describe_captions(self.cues, self.script, span)
        shown_items: list[dict[str, Any]] = [layer["visual"] for layer in layers] + overlays
        spec: dict[str, Any] = {
            "size": list(self.output.size),
            "fps": fps,
            "quality": self.output.quality,
            "frames": span.frames,
            "layers": layers,
            "sources": {
                item["source"]: self.files[item["source"]] for item in shown_items if "source" in item
            },
        }
        if self.encoder != encoding.SOFTWARE:
            spec["encoder"] = self.encoder
        if len(span.slots) == 2:
            spec["transition"] = self.script.scenes[span.slots[1].index].transition.type
        if overlays:
            spec["overlays"] = overlays
        if captions:
            spec["captions"] = captions
        return spec | self._style(spec)

    def _layer(self, scene: Scene, slot: Slot, span: Span) -> dict[str, Any]:
        visual = visual_specs.describe_visual(scene.visual, self.sources, theme.load_theme(self.script.theme))
        if "chart" in visual:
            visual["chart"] |= text_layers.describe_chart_clearance(scene, self.script, self.timeline)
        layer: dict[str, Any] = {
            "visual": visual_specs.limit_to_span(visual, span.start - slot.start, slot.frames)
        }
        if text := text_layers.describe_texts(scene, self.script, slot, span, self.timeline):
            layer["text"] = text
        return layer

    def _style(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts of the theme that the segment uses; others would change its key without its pixels."""
        theme_data = theme.load_theme(self.script.theme)
        items = [item for layer in spec["layers"] for item in layer.get("text", ())]
        roles = {item["role"] for item in [*items, *spec.get("overlays", ())] if "role" in item}
        style: dict[str, Any] = {}
        if roles or "captions" in spec or any("chart" in layer["visual"] for layer in spec["layers"]):
            style |= {
                "language": self.script.language,
                "styles": {role: theme_data["text"][role] for role in sorted(roles)},
            }
        if "captions" in spec:
            style["caption_style"] = theme_data["captions"]
        return style
