"""The catalogue of voices finds one for a language as people write it."""

from __future__ import annotations

import pytest

from shared import voices


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "en-us"), ("en-GB", "en-gb"), ("en-AU", "en-us"), ("EN_us", "en-us"), ("pt-BR", "pt-br"), ("pt", "pt"),
        ("zh", "cmn"), ("zh-Hans-CN", "cmn"), ("zh-HK", "yue"), ("fr", "fr-fr"), ("de-CH", "de"), ("nb", "nb"),
        ("no", "nb"), ("iw", "he"), ("sr-Latn-RS", "sr"), ("ja", "ja"), ("hi-IN", "hi"), ("und", "en-us"),
    ],
)  # fmt: skip
def test_a_language_has_its_voice(tag, name):
    found = voices.for_language(tag)

    assert found is not None
    assert found.name == name


def test_a_language_that_nobody_speaks_has_none():
    assert voices.for_language("xx-YY") is None
    assert voices.for_language("") is None


def test_every_voice_is_listed_once_and_found_by_its_name():
    listed = voices.voices()

    assert len({voice.name for voice in listed}) == len(listed) > 100
    assert all(voices.find(voice.name) == voice for voice in listed)


def test_a_variant_changes_the_name_alone():
    found = voices.find("en-us+f3")

    assert found is not None
    assert (found.name, found.language, found.file) == ("en-us+f3", "en-us", "gmw/en-US+f3")


@pytest.mark.parametrize(
    "name", ["", "nobody", "en-us+nobody", "en-us+", "../../etc/passwd", "en-us+../f3", "+f3"]
)
def test_another_name_finds_nothing(name):
    assert voices.find(name) is None
