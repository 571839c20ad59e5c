"""Voices are found for languages as people write them."""

from __future__ import annotations

import pytest

from shared.script import voices
from shared.settings import Settings


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "en-us"), ("en-GB", "en-gb"), ("en-AU", "en-us"), ("EN_us", "en-us"), ("pt-BR", "pt-br"), ("pt", "pt"),
        ("zh", "cmn"), ("zh-Hans-CN", "cmn"), ("zh-HK", "yue"), ("fr", "fr-fr"), ("de-CH", "de"), ("nb", "nb"),
        ("no", "nb"), ("iw", "he"), ("sr-Latn-RS", "sr"), ("ja", "ja"), ("hi-IN", "hi"), ("und", "en-us"),
    ],
)  # fmt: skip
def test_a_language_has_its_voice(tag, name):
    found = voices.voice_for_language(tag)

    assert found is not None
    assert found.name == name


def test_a_language_without_a_voice_has_none():
    assert voices.voice_for_language("xx-YY") is None
    assert voices.voice_for_language("") is None


def test_every_voice_is_listed_once_and_found_by_its_name():
    listed = voices.embedded_voices()

    assert len({voice.name for voice in listed}) == len(listed) > 100
    assert all(voices.find_voice(voice.name) == voice for voice in listed)


def test_a_variant_changes_the_name_alone():
    found = voices.find_voice("en-us+f3")

    assert found is not None
    assert (found.name, found.language, found.file) == ("en-us+f3", "en-us", "gmw/en-US+f3")


@pytest.mark.parametrize(
    "name", ["", "nobody", "en-us+nobody", "en-us+", "../../etc/passwd", "en-us+../f3", "+f3"]
)
def test_an_unknown_name_finds_no_voice(name):
    assert voices.find_voice(name) is None


def test_named_voices_say_which_language_they_speak():
    alloy, thorsten = voices.named_voices("alloy, thorsten@de,,")

    assert (alloy.name, thorsten.name) == ("alloy", "thorsten")
    assert alloy.speaks("fr")
    assert thorsten.speaks("de-AT")
    assert not thorsten.speaks("en")


def test_the_catalogue_lists_a_server_only_where_it_is_named():
    places = {"database_url": "x", "broker_url": "x", "redis_url": "x", "storage_url": "x"}
    without = Settings(**places, speech_base_url="")
    named = Settings(**places, speech_base_url="http://127.0.0.1:1/v1", speech_voices="alloy, thorsten@de")

    assert [each.name for each in voices.available_voices(without)] == [
        each.name for each in voices.embedded_voices()
    ]
    assert [(each.name, each.language) for each in voices.available_voices(named)[:2]] == [
        ("openai:alloy", "mul"),
        ("openai:thorsten", "de"),
    ]


def test_a_voice_file_that_is_not_there_is_not_listed():
    assert voices.piper_voices("/nowhere/en_US-joe.onnx") == ()


@pytest.mark.parametrize(
    ("tag", "least"),
    [("en", {"en-us", "en-gb"}), ("pt-BR", {"pt", "pt-br"}), ("zh", {"cmn"}), ("no", {"nb"})],
    ids=["en", "pt-BR", "zh", "no"],
)
def test_voices_say_which_languages_they_speak(tag, least):
    found = {voice.name for voice in voices.embedded_voices() if voice.speaks(tag)}

    assert least <= found
    assert "de" not in found


def test_a_voice_of_many_languages_speaks_any():
    assert voices.SpokenVoice("openai:alloy", "mul", "alloy", "").speaks("ja")
