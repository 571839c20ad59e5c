"""Estimates a job: its timeline, and the resources that it will use. Pure.

Narration is not spoken yet, so that its length is estimated, and its scene and all later ones are not `exact`. Uploaded
recordings have their measured length.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shared.script import speaking_rate
from shared.script.timeline import describe_unseen, exact_fraction, plan_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.schemas.job import JobSpec
    from shared.script.timeline import Timeline
    from shared.script.values import Brief, Output, Scene, Script

# CPU seconds to zoom, overlay and encode (x264) a million pixels, measured on a 2-core machine.
SECONDS_PER_MEGAPIXEL = 0.015
SETUP_SECONDS = 1.0
# English has about four characters per token. The prompt and the response's schema cost the same for every script.
CHARACTERS_PER_TOKEN, PROMPT_TOKENS, SCENE_TOKENS, DEFAULT_SCENES = 4, 1500, 120, 6
# Lengths where a brief names none: of a scene, and the maximum for an article.
SCENE_SECONDS, DEFAULT_SECONDS = 9.0, 75.0
SERVER_VOICE_PREFIX = "openai:"  # names of a speech server's voices start so


def estimate_job(
    spec: JobSpec,
    recordings: Mapping[str, Fraction],
    *,
    has_model: bool = True,
    has_speech_server: bool = True,
) -> dict[str, Any]:
    """Return the dry-run document of a valid job. `recordings` holds the seconds of voice-overs by their `src`.

    Without a language model a brief costs no tokens; without a speech server no characters are paid for.
    """
    tokens = _llm_tokens(spec.brief) if spec.brief and has_model else 0
    if spec.script is None or spec.output is None:
        duration, characters = (
            _estimate_brief(spec.brief, has_model=has_model) if spec.brief and spec.output else (None, 0)
        )
        served, heard = (characters, duration or 0.0) if has_speech_server else (0, 0.0)
        used = _Consumption(tokens, characters, served, heard)
        return _dry_run_document(None, [], duration, spec.output, used)
    narrations = {
        scene.id: length for scene in spec.script.scenes if (length := _narration_seconds(scene, recordings))
    }
    line = plan_timeline(
        spec.script, {name: seconds for name, (seconds, _) in narrations.items()}, spec.output.fps
    )
    measured_ids = {name for name, (_, measured) in narrations.items() if measured}
    scenes = list(_scene_times(line, spec.script, measured_ids))
    warnings = list(_warnings(line, spec.script))
    spoken = [scene.narration for scene in spec.script.scenes if scene.id in narrations and scene.narration]
    spoken = [narration for narration in spoken if not narration.src]
    paid = [text for text in spoken if has_speech_server and _uses_speech_server(text.voice.name)]
    used = _Consumption(
        tokens,
        sum(len(narration.text) for narration in spoken),
        sum(len(narration.text) for narration in paid),
        sum(
            speaking_rate.estimate_speech_seconds(narration.text) / narration.voice.speed
            for narration in paid
        ),
        sum(1 for scene in spec.script.scenes if scene.visual and scene.visual.type == "generated"),
    )
    return _dry_run_document(scenes, warnings, float(line.seconds), spec.output, used)


@dataclass(frozen=True, slots=True)
class _Consumption:
    """The paid resources that a job uses when nothing is cached."""

    tokens: int
    characters: int
    paid: int  # characters that a speech server speaks
    seconds: float  # of speech from it
    images: int = 0


def _uses_speech_server(voice: str | None) -> bool:
    return voice is None or voice.startswith(SERVER_VOICE_PREFIX)


def _estimate_brief(brief: Brief, *, has_model: bool) -> tuple[float, int]:
    """Return the estimated seconds of a brief's video, and the characters of its narration."""
    text = brief.source_text or brief.topic or ""
    whole = speaking_rate.estimate_speech_seconds(text) + speaking_rate.PAUSE
    # A model invents text about a topic; the offline outliner only narrates the topic itself.
    invented = has_model and not brief.source_text
    default = DEFAULT_SCENES * SCENE_SECONDS if invented else min(whole, DEFAULT_SECONDS)
    duration = brief.duration or (brief.scenes * SCENE_SECONDS if brief.scenes else default)
    spoken = duration if has_model else min(duration, whole)
    return round(duration, 1), round(spoken * len(text) / whole)


def _dry_run_document(
    scenes: list[dict[str, Any]] | None,
    warnings: list[str],
    duration: float | None,
    output: Output | None,
    used: _Consumption,
) -> dict[str, Any]:
    estimate = {
        "duration": duration,
        "render_seconds": _render_seconds(output, duration or 0.0),
        "llm_tokens": used.tokens,
        "speech_characters": used.characters,
        "paid_characters": used.paid,
        "paid_speech_seconds": used.seconds,
        "images": used.images,
    }
    return {"valid": True, "errors": [], "warnings": warnings, "timeline": scenes, "estimate": estimate}


def _scene_times(line: Timeline, script: Script, measured_ids: set[str]) -> Iterator[dict[str, Any]]:
    settled = True
    for slot, scene in zip(line.scenes, script.scenes, strict=True):
        settled = settled and (slot.narration is None or scene.id in measured_ids)
        start, duration = slot.start / line.fps, slot.frames / line.fps
        yield {"id": slot.id, "start": start, "duration": duration, "exact": settled}


def _warnings(line: Timeline, script: Script) -> Iterator[str]:
    for slot, scene in zip(line.scenes, script.scenes, strict=True):
        if slot.transition < int(exact_fraction(scene.transition.duration) * line.fps):
            yield f"The transition into {scene.id} is shortened to {slot.transition / line.fps:.2f} s: its scenes are too short."
    yield from describe_unseen(line, script)


def _narration_seconds(scene: Scene, recordings: Mapping[str, Fraction]) -> tuple[Fraction, bool] | None:
    """Return the seconds of a scene's narration and whether they are measured; None for a silent scene."""
    narration = scene.narration
    if narration is None:
        return None
    if narration.src and narration.src in recordings:
        return recordings[narration.src], True
    if not narration.src and narration.voice.name == "none":
        return None
    return Fraction(
        round(speaking_rate.estimate_speech_seconds(narration.text) / narration.voice.speed * 1000), 1000
    ), False


def _render_seconds(output: Output | None, duration: float) -> float:
    if output is None or not duration:
        return 0.0
    width, height = output.size
    return round(SETUP_SECONDS + duration * output.fps * width * height / 1e6 * SECONDS_PER_MEGAPIXEL, 1)


def _llm_tokens(brief: Brief) -> int:
    source = len(brief.source_text or brief.topic or "") // CHARACTERS_PER_TOKEN
    return PROMPT_TOKENS + source + SCENE_TOKENS * (brief.scenes or DEFAULT_SCENES)
