"""Who is to speak, and is nobody here, is told of by the place that names them."""

from __future__ import annotations

import pytest

from api.jobs.voice_validation import MAX_LOOKUPS, find_unknown_voices
from api.schemas.speakers import Speaker
from shared.settings import Settings

PLACES = {"database_url": "x", "broker_url": "x", "redis_url": "x", "storage_url": "x"}
PLAIN = Settings(**PLACES)
SERVED = Settings(
    **PLACES,
    speech_base_url="http://127.0.0.1:1/v1",
    speech_voices="alloy@en, thorsten@de",
    piper_voices="/elsewhere/tlh_QO-worf-high.onnx",
)


@pytest.mark.parametrize(
    ("config", "voice", "language"),
    [
        (PLAIN, "en-us", "de"), (PLAIN, "EN-US", "de"), (PLAIN, "en-us+f3", "xx"), (PLAIN, None, "pt-BR"),
        (SERVED, "openai:thorsten", "en"), (SERVED, "piper:tlh_QO-worf-high", "en"), (SERVED, None, "tlh"),
    ],
)  # fmt: skip
def test_available_voices_are_valid(config, voice, language):
    assert find_unknown_voices([Speaker("#/x", voice, language)], config) == []


@pytest.mark.parametrize(
    ("config", "voice", "advice"),
    [
        (PLAIN, "en_us", "Did you mean en-us?"), (PLAIN, "german", "Did you mean de?"),
        (PLAIN, "openai:alloy", "GET /v1/voices lists them."), (SERVED, "alloy", "Did you mean openai:alloy?"),
        (PLAIN, "en-us+nobody", "Did you mean en-us"), (SERVED, "openai:aloy", "Did you mean openai:alloy"),
        (SERVED, "piper:worf", "GET /v1/voices lists them."),
    ],
)  # fmt: skip
def test_an_unknown_voice_is_reported_with_similar_names(config, voice, advice):
    ((place, why),) = find_unknown_voices([Speaker("#/x", voice, "en")] * 2, config)

    assert place == "#/x"
    assert why.startswith(f"There is no such voice. {advice}")


def test_a_language_without_a_voice_is_reported():
    assert find_unknown_voices(
        [Speaker("#/language", None, "tlh"), Speaker("#/x", "en-us", "tlh")], PLAIN
    ) == [("#/language", "No voice here speaks this language. Name a voice of GET /v1/voices.")]


def test_only_a_few_unknown_names_get_suggestions():
    given = [Speaker(f"#/{index}", f"en_us{index}", "en") for index in range(MAX_LOOKUPS + 2)]

    told = [why for _, why in find_unknown_voices(given, PLAIN)]

    assert ["Did you mean" in why for why in told] == [True] * MAX_LOOKUPS + [False] * 2
