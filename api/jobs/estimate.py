"""What would come of a job: its timeline and what it costs, before anything of it is done. Pure.

Nobody has spoken yet, so that a scene that speaks has an estimated length, and is not `exact`; nor is the start of
whatever follows it. A recording has its measured length.
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

# CPU seconds that a million pixels took to be zoomed, drawn on and encoded by x264 on a 2-core machine.
SECONDS_PER_MEGAPIXEL = 0.015
SETUP_SECONDS = 1.0
# A token is some four characters of English. The prompt and the answer's form cost as much for every script.
CHARACTERS_PER_TOKEN, PROMPT_TOKENS, SCENE_TOKENS, DEFAULT_SCENES = 4, 1500, 120, 6
# Of a video of a brief that asks for no length: of one scene, and of an article.
SCENE_SECONDS, DEFAULT_SECONDS = 9.0, 75.0
SERVER_VOICE_PREFIX = "openai:"  # how voices of speech servers are named


def estimate_job(
    spec: JobSpec, recordings: Mapping[str, Fraction], *, asks_model: bool = True, asks_speaker: bool = True
) -> dict[str, Any]:
    """Return what would come of a right job. `recordings` holds the seconds of voice-overs by their `src`.

    Where there is no model to ask, a brief costs no tokens; where no server speaks, no character is paid for.
    """
    tokens = _llm_tokens(spec.brief) if spec.brief and asks_model else 0
    if spec.script is None or spec.output is None:
        duration, characters = (
            _estimate_brief(spec.brief, asks_model=asks_model) if spec.brief and spec.output else (None, 0)
        )
        served, heard = (characters, duration or 0.0) if asks_speaker else (0, 0.0)
        used = _Consumption(tokens, characters, served, heard)
        return _dry_run_document(None, [], duration, spec.output, used)
    said = {one.id: length for one in spec.script.scenes if (length := _narration_seconds(one, recordings))}
    line = plan_timeline(spec.script, {name: seconds for name, (seconds, _) in said.items()}, spec.output.fps)
    known = {name for name, (_, measured) in said.items() if measured}
    scenes = list(_scene_times(line, spec.script, known))
    warnings = list(_warnings(line, spec.script))
    spoken = [one.narration for one in spec.script.scenes if one.id in said and one.narration]
    spoken = [each for each in spoken if not each.src]
    paid = [each for each in spoken if asks_speaker and _uses_speech_server(each.voice.name)]
    used = _Consumption(
        tokens,
        sum(len(each.text) for each in spoken),
        sum(len(each.text) for each in paid),
        sum(speaking_rate.estimate_speech_seconds(each.text) / each.voice.speed for each in paid),
        sum(1 for one in spec.script.scenes if one.visual and one.visual.type == "generated"),
    )
    return _dry_run_document(scenes, warnings, float(line.seconds), spec.output, used)


@dataclass(frozen=True, slots=True)
class _Consumption:
    """What would be used of what costs, if none of it is known already."""

    tokens: int
    characters: int
    paid: int  # of the characters, those that a server speaks
    seconds: float  # that it speaks
    images: int = 0


def _uses_speech_server(voice: str | None) -> bool:
    return voice is None or voice.startswith(SERVER_VOICE_PREFIX)


def _estimate_brief(brief: Brief, *, asks_model: bool) -> tuple[float, int]:
    """Return about how long a video of a brief would be, and how many characters are said in it."""
    text = brief.source_text or brief.topic or ""
    whole = speaking_rate.estimate_speech_seconds(text) + speaking_rate.PAUSE
    # A model tells of a topic, the outliner only says it.
    invented = asks_model and not brief.source_text
    usual = DEFAULT_SCENES * SCENE_SECONDS if invented else min(whole, DEFAULT_SECONDS)
    duration = brief.duration or (brief.scenes * SCENE_SECONDS if brief.scenes else usual)
    said = duration if asks_model else min(duration, whole)
    return round(duration, 1), round(said * len(text) / whole)


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


def _scene_times(line: Timeline, script: Script, known: set[str]) -> Iterator[dict[str, Any]]:
    settled = True
    for slot, scene in zip(line.scenes, script.scenes, strict=True):
        settled = settled and (slot.narration is None or scene.id in known)
        start, duration = slot.start / line.fps, slot.frames / line.fps
        yield {"id": slot.id, "start": start, "duration": duration, "exact": settled}


def _warnings(line: Timeline, script: Script) -> Iterator[str]:
    for slot, scene in zip(line.scenes, script.scenes, strict=True):
        if slot.transition < int(exact_fraction(scene.transition.duration) * line.fps):
            yield f"The transition into {scene.id} is shortened to {slot.transition / line.fps:.2f} s: its scenes are short."
    yield from describe_unseen(line, script)


def _narration_seconds(scene: Scene, recordings: Mapping[str, Fraction]) -> tuple[Fraction, bool] | None:
    """Return how long a scene speaks and whether that is known; None where it says nothing."""
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
