"""Speaking by an OpenAI-compatible server that does what is documented, and that fails in every way."""

from __future__ import annotations

import time
import wave
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shared.errors import SpeechFailed, Unavailable
from shared.processes.ffmpeg import Stopped
from shared.script.values import Voice
from shared.script.voices import named_voices
from shared.settings import LanguageModel
from tasks.providers.circuit_breaker import FAILURE_THRESHOLD
from tasks.providers.http_client import Provider, ProviderConfig
from tasks.providers.retry import MAX_CALLS
from tasks.speech.engine import SAMPLE_RATE, Sentence
from tasks.speech.speech_server import SpeechServer
from tests.loopback import llm
from tests.loopback.server import says
from tests.loopback.speech import LoopbackSpeech, bursts

pytestmark = pytest.mark.services  # on loopback, and slower than what `make fast` is for

TEXT = "Corals grow about one centimetre every single year."
SPEECH, EARS = "/v1/audio/speech", "/v1/audio/transcriptions"


@pytest.fixture
def server():
    with LoopbackSpeech() as server:
        yield server


@pytest.fixture
def slept():
    return []


def engine(server, slept=None, *, transcriber="", voices="alloy, thorsten@de", **limits):
    address = ProviderConfig(
        "The speech server",
        server.base_url,
        {"Authorization": "Bearer sk-test"},
        **{"connect": 5.0, "read": 20.0, "deadline": 30.0, **limits},
    )
    provider = Provider(address, sleep=(slept if slept is not None else []).append)
    model = LanguageModel(server.base_url, "tts-1", "sk-test")
    return SpeechServer(model, named_voices(voices), transcriber=transcriber, provider=provider)


def say(engine, tmp_path, text=TEXT, voice=None, stop=lambda: False):
    (said,) = engine.speak([Sentence(text, "en", tmp_path / "a.wav", voice or Voice())], stop=stop)
    return said


def sound(tmp_path) -> bytes:
    return (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize("knows", [{"wav", "mp3"}, {"mp3"}])
def test_any_audio_format_of_the_server_becomes_narration(server, tmp_path, knows):
    server.knows = knows
    said = say(engine(server), tmp_path)

    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert said.samples == len(samples)
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 500)
    assert loud[0] < 0.05 * SAMPLE_RATE  # the silence that it came with is gone
    assert len(samples) - loud[-1] < 0.05 * SAMPLE_RATE
    assert len(bursts(sound(tmp_path))) == len(TEXT.split())
    request = server.asked(SPEECH)[-1]
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.body == {
        "model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "mp3" if "wav" not in knows else "wav",
    }  # fmt: skip


def test_a_rejected_sound_format_is_requested_only_once(server, tmp_path):
    server.knows = {"mp3"}
    one = engine(server)

    for _ in range(3):
        say(one, tmp_path)

    assert [each.body["response_format"] for each in server.asked(SPEECH)] == ["wav", "mp3", "mp3", "mp3"]


def test_word_times_come_from_the_transcript(server, tmp_path):
    said = say(engine(server, transcriber="whisper-1"), tmp_path)

    assert [each.place for each in said.heard] == [TEXT.index(word) for word in TEXT.split()]
    for heard, (start, end) in zip(said.heard, bursts(sound(tmp_path)), strict=True):
        assert heard.start == pytest.approx(start, abs=0.02)
        assert heard.end == pytest.approx(end, abs=0.02)
    form = server.asked(EARS)[0]
    assert b"verbose_json" in form.content
    assert b"timestamp_granularities[]" in form.content


def test_without_a_transcript_words_share_the_time_by_their_syllables(server, tmp_path):
    said = say(engine(server), tmp_path)

    assert server.asked(EARS) == []
    assert [each.place for each in said.heard] == [TEXT.index(word) for word in TEXT.split()]
    assert said.heard[-1].end == pytest.approx(said.samples / SAMPLE_RATE)
    lengths = {TEXT[each.place :].split(maxsplit=1)[0]: each.end - each.start for each in said.heard}
    assert lengths["centimetre"] > 1.8 * lengths["one"]


@pytest.mark.parametrize("answer", [llm.status(404), llm.status(400), says({"text": "no times here"})])
def test_a_server_without_transcription_is_asked_only_once(server, tmp_path, answer):
    one = engine(server, transcriber="whisper-1")
    server.then(server.serve, answer)

    say(one, tmp_path)
    said = say(one, tmp_path)

    assert len(server.asked(EARS)) == 1
    assert len(said.heard) == len(TEXT.split())


def test_a_transcription_that_fails_for_now_does_not_fail_the_speech(server, tmp_path):
    one = engine(server, transcriber="whisper-1")
    server.then(server.serve, *[llm.status(503, headers={"Retry-After": "99"})])

    assert say(one, tmp_path).samples > 0
    say(one, tmp_path)

    assert len(server.asked(EARS)) == 2


def test_headerless_samples_are_read_at_their_stated_rate(server, tmp_path):
    def bare(handler, asked):
        from tests.loopback.speech import tones  # noqa: PLC0415

        handler.answer(200, tones(asked.body["input"]).tobytes(), "audio/pcm;rate=24000")

    server.then(bare)

    say(engine(server), tmp_path)

    assert len(bursts(sound(tmp_path))) == len(TEXT.split())


def test_speed_and_voice_are_asked_for(server, tmp_path):
    say(engine(server), tmp_path, voice=Voice("openai:thorsten", 1.5))

    body = server.asked(SPEECH)[0].body
    assert (body["voice"], body["speed"]) == ("thorsten", 1.5)


@pytest.mark.parametrize(
    ("voice", "language", "chosen"),
    [
        (None, "en", "alloy"),
        (None, "de-AT", "thorsten"),
        ("openai:alloy", "fr", "alloy"),
        ("openai:nobody", "en", None),
        ("en-us", "en", None),
    ],
)
def test_a_voice_is_chosen_by_its_name_or_its_language(server, voice, language, chosen):
    one = engine(server, voices="thorsten@de, alloy")

    assert one.voice_id(Voice(voice), language) == chosen


# What the server does; how often it is asked; the seconds slept, where they are known.
FOR_NOW = [
    pytest.param(llm.status(429, headers={"Retry-After": "3"}), MAX_CALLS, 6.0, id="429 for 3 seconds"),
    pytest.param(llm.status(429, headers={"Retry-After": "600"}), 1, 0.0, id="429 for ten minutes"),
    pytest.param(llm.status(500), MAX_CALLS, None, id="500"),
    pytest.param(llm.status(503, headers={"Retry-After": "soon"}), MAX_CALLS, None, id="503 with garbage"),
    pytest.param(llm.html(200), MAX_CALLS, None, id="HTML"),
    pytest.param(llm.html(502), MAX_CALLS, None, id="HTML of a proxy"),
    pytest.param(llm.resets, MAX_CALLS, None, id="reset"),
    pytest.param(llm.huge(50 * 1024 * 1024), MAX_CALLS, None, id="50 MB"),
    pytest.param(says({"error": "no"}), MAX_CALLS, None, id="JSON instead of sound"),
]


@pytest.mark.parametrize(("behaviour", "calls", "seconds"), FOR_NOW)
def test_a_transient_failure_is_retried_a_limited_number_of_times(
    server, tmp_path, slept, behaviour, calls, seconds
):
    server.always(behaviour)

    with pytest.raises(Unavailable):
        say(engine(server, slept), tmp_path)

    assert len(server.requests) == calls
    if seconds is not None:
        assert sum(slept) == pytest.approx(seconds)


@pytest.mark.parametrize("behaviour", [llm.hangs(9), llm.hangs_in_the_body(9), llm.drips(9)])
def test_a_slow_image_server_is_abandoned_in_time(server, tmp_path, behaviour):
    server.always(behaviour)
    began = time.monotonic()

    with pytest.raises(Unavailable):
        say(engine(server, read=0.3, deadline=0.5), tmp_path)

    assert len(server.requests) == MAX_CALLS
    assert time.monotonic() - began < 9


def test_a_long_retry_after_is_passed_to_the_job(server, tmp_path, slept):
    server.always(llm.status(429, headers={"Retry-After": "600"}))

    with pytest.raises(Unavailable) as caught:
        say(engine(server, slept), tmp_path)

    assert caught.value.retry_after == 600


def test_a_retry_after_date_is_understood(server, tmp_path, slept):
    server.then(llm.status(429, headers=llm.retry_at(datetime.now(UTC) + timedelta(seconds=4))))

    say(engine(server, slept), tmp_path)

    assert 1 < sum(slept) <= 4.2


@pytest.mark.parametrize(
    "behaviour",
    [
        llm.status(401),
        llm.status(404, error="no such model"),
        llm.status(400),
        llm.status(429, kind="insufficient_quota"),
    ],
)
def test_a_refusal_fails_at_once(server, tmp_path, slept, behaviour):
    server.always(behaviour)

    with pytest.raises(SpeechFailed):
        say(engine(server, slept), tmp_path)

    assert (len(server.requests), slept) == (1, [])


def test_silence_is_no_speech(server, tmp_path):
    from tests.loopback.speech import wav  # noqa: PLC0415

    server.always(lambda handler, _: handler.answer(200, wav(np.zeros(24_000, np.int16)), "audio/wav"))

    with pytest.raises(Unavailable):
        say(engine(server), tmp_path)


def test_a_provider_that_failed_too_often_is_not_called(server, tmp_path):
    server.always(llm.status(500))
    one = engine(server)

    for _ in range(4):
        with pytest.raises(Unavailable) as caught:
            say(one, tmp_path)

    assert len(server.requests) == FAILURE_THRESHOLD
    assert caught.value.retry_after


def test_a_canceled_generation_stops_at_once(server, tmp_path):
    server.always(llm.hangs(15))
    began = time.monotonic()

    with pytest.raises(Stopped):
        say(engine(server), tmp_path, stop=lambda: bool(server.requests))

    assert time.monotonic() - began < 5


def test_errors_reveal_no_key_and_no_address(server, tmp_path):
    server.always(llm.status(500, error="key sk-test at /srv/secret"))

    with pytest.raises(Unavailable) as caught:
        say(engine(server), tmp_path)

    assert "sk-test" not in str(caught.value.args)
    assert "127.0.0.1" not in str(caught.value.args)
    assert "sk-test" not in repr(engine(server).provider.config)
