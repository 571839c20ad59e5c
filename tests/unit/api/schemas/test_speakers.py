"""Who speaks a script is told with the place in the client's document that asks for them."""

from __future__ import annotations

from api.schemas.speakers import Speaker, speakers
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema


def test_speakers_have_the_pointer_that_names_them():
    document = {
        "language": "de",
        "variables": {"who": "nobody"},
        "defaults": {"voice": {"name": "en-us"}},
        "scenes": [
            {"narration": "one"},
            {"enabled": False, "narration": {"text": "two", "voice": {"name": "off"}}},
            {"narration": {"text": "three", "voice": {"speed": 2}}},
            {"narration": {"text": "four", "voice": {"name": "{{who}}"}}},
        ],
    }

    assert speakers(load(ScriptSchema(), document), document, "#/script") == (
        Speaker("#/script/defaults/voice/name", "en-us", "de"),
        Speaker("#/script/scenes/3/narration/voice/name", "nobody", "de"),
    )


def test_without_a_voice_the_language_has_the_pointer():
    document = {"language": "de", "scenes": [{"narration": "one"}, {"narration": "two"}, {"duration": 1}]}

    assert speakers(load(ScriptSchema(), document), document) == (Speaker("#/language", None, "de"),)


def test_a_scene_without_speech_needs_no_speaker():
    recording = "https://example.com/a.wav"
    document = {
        "scenes": [
            {"narration": {"text": "one", "voice": {"name": "none"}}},
            {"narration": {"text": "two", "src": recording, "voice": {"name": "nobody"}}},
            {"narration": {"text": " ", "voice": {"name": "nobody"}}},
            {"duration": 1},
        ]
    }

    assert speakers(load(ScriptSchema(), document), document) == ()
