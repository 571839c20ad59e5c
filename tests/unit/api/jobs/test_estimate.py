"""What would come of a job."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from api.jobs.estimate import estimate_job
from api.schemas.job import JobSchema


def spec(*scenes: dict[str, Any], **job: Any) -> Any:
    return JobSchema().load({"kind": "video", "script": {"scenes": list(scenes)}, **job})


def test_silent_scenes_are_exact() -> None:
    outcome = estimate_job(spec({"id": "a", "duration": 2}, {"id": "b", "duration": 3}), {})

    assert outcome["timeline"] == [
        {"id": "a", "start": 0.0, "duration": 2.0, "exact": True},
        {"id": "b", "start": 2.0, "duration": 3.0, "exact": True},
    ]
    assert outcome["estimate"]["duration"] == 5.0
    assert outcome["estimate"]["speech_characters"] == 0
    assert outcome["warnings"] == []


def test_nothing_after_estimated_speech_is_exact() -> None:
    outcome = estimate_job(spec({"duration": 1}, {"narration": "Hello, world."}, {"duration": 1}), {})

    assert [scene["exact"] for scene in outcome["timeline"]] == [True, False, False]
    assert outcome["estimate"]["speech_characters"] == 13


def test_a_measured_recording_is_exact() -> None:
    src = "asset:5f0a7b3e-0000-4000-8000-000000000000"
    outcome = estimate_job(spec({"narration": {"src": src, "text": "As heard."}}), {src: Fraction(5, 2)})

    assert outcome["timeline"][0]["exact"] is True
    assert outcome["timeline"][0]["duration"] == pytest.approx(2.5 + 0.2 + 0.4, abs=1 / 30)
    assert outcome["estimate"]["speech_characters"] == 0


def test_faster_speech_is_shorter_and_a_voice_of_none_is_silent() -> None:
    text = "A reef begins with a single larva."
    slow, fast, nobody = (
        estimate_job(spec({"narration": {"text": text, "voice": voice}}), {})["estimate"]["duration"]
        for voice in ({"speed": 1}, {"speed": 2}, {"name": "none"})
    )

    assert fast < slow
    assert nobody == 4.0


def test_a_shortened_transition_gives_a_warning() -> None:
    crossfade = {"type": "crossfade", "duration": 2}
    outcome = estimate_job(spec({"duration": 1}, {"id": "b", "duration": 1, "transition": crossfade}), {})

    assert len(outcome["warnings"]) == 1
    assert "into b is shortened to 0.50 s" in outcome["warnings"][0]


def test_a_larger_picture_costs_more() -> None:
    small, large = (
        estimate_job(spec({"duration": 10}, output={"resolution": size}), {})["estimate"]["render_seconds"]
        for size in ("360p", "2160p")
    )

    assert large > 10 * small > 0


def brief(kind: str = "video", **brief: Any) -> Any:
    return JobSchema().load({"kind": kind, "brief": brief})


def test_a_brief_has_no_timeline() -> None:
    script = estimate_job(brief("script", source_text="word " * 4000), {})
    video = estimate_job(brief(topic="Tides", duration=20), {})

    assert script["timeline"] is video["timeline"] is None
    assert script["estimate"]["llm_tokens"] > video["estimate"]["llm_tokens"] > 0
    assert (script["estimate"]["render_seconds"], video["estimate"]["duration"]) == (0.0, 20.0)
    assert (script["estimate"]["duration"], script["estimate"]["speech_characters"]) == (None, 0)


def test_a_briefs_video_has_the_requested_or_default_length() -> None:
    long, article, line = (
        estimate_job(brief(source_text="Reefs grow. " * times, **more), {})["estimate"]
        for times, more in ((1000, {"duration": 30}), (1000, {}), (10, {}))
    )

    assert (long["duration"], article["duration"]) == (30.0, 75.0)
    assert 5 < line["duration"] < 12
    assert 300 < long["speech_characters"] < 600
    assert 80 <= line["speech_characters"] <= 125
    assert long["render_seconds"] < article["render_seconds"]


def test_without_a_model_only_the_topic_itself_is_narrated() -> None:
    told, said = (
        estimate_job(brief(topic="How a reef is born"), {}, has_model=asks)["estimate"]
        for asks in (True, False)
    )

    assert told["duration"] > 30
    assert said["duration"] < 5
    assert said["llm_tokens"] == 0
    assert said["speech_characters"] == len("How a reef is born")


def test_only_voices_of_a_speech_server_are_paid_for() -> None:
    scenes = [
        {"narration": "Hello."},
        {"narration": {"text": "Hallo.", "voice": {"name": "de"}}},
        {"narration": {"text": "Bonjour.", "voice": {"name": "openai:alloy"}}},
    ]

    served, alone = (
        estimate_job(spec(*scenes), {}, has_speech_server=asks)["estimate"] for asks in (True, False)
    )

    assert served["speech_characters"] == alone["speech_characters"] == 20
    assert (served["paid_characters"], alone["paid_characters"]) == (14, 0)


def test_each_generated_visual_counts_as_an_image() -> None:
    reef = {"type": "generated", "prompt": "a reef"}

    outcome = estimate_job(spec({"duration": 1, "visual": reef}, {"duration": 1, "visual": reef}), {})

    assert outcome["estimate"]["images"] == 2
