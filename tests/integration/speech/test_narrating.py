"""A script's narration: spoken by sentences, stored and paid for once, joined to the sample."""

from __future__ import annotations

import threading
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from shared import usage
from shared.db import transaction
from shared.errors import QuotaExceeded, SpeechFailed, Unavailable
from shared.media.probing import probe
from shared.models import Account, StoredSpeech
from shared.processes import ffmpeg
from shared.script.values import Narration, Scene, Script, Voice
from shared.script.voices import named_voices
from shared.settings import LanguageModel, settings
from shared.storage.factory import storage
from shared.usage import UsageKind
from tasks import speech
from tasks.cost_tracker import CostTracker
from tasks.providers import response_cache
from tasks.providers.http_client import Provider, ProviderConfig
from tasks.speech import Line
from tasks.speech.espeak import Espeak
from tasks.speech.speech_cache import Speaker
from tasks.speech.speech_server import SpeechServer
from tasks.video.plan.narration import narrate
from tasks.video.plan.values import Source
from tests.integration.speech.conftest import new_job
from tests.loopback import llm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.models import Job
    from tasks.speech.engine import Sentence, SpokenSentence
    from tests.loopback.speech import LoopbackSpeech

pytestmark = pytest.mark.services

FIRST = "A reef begins with a single larva. It settles on a rock, and it grows!"
SECOND = "Dr. Coral waits…\n\nThen, after 1,234 years, there is a reef."


def script(*texts: str, voice: Voice | None = None) -> Script:
    scenes = (Scene(f"s{index}", Narration(text, voice or Voice())) for index, text in enumerate(texts))
    return Script(tuple(scenes))


class Counting:
    """The embedded engine, and what it was asked to say."""

    name, is_paid, transcribes = "counting", False, False

    def __init__(self) -> None:
        self.inner, self.said = Espeak(), list[str]()

    def voice_id(self, voice: Voice, language: str) -> str | None:
        return self.inner.voice_id(voice, language)

    def cache_identity(self, voice: Voice, language: str) -> tuple[str | float, ...]:
        return self.inner.cache_identity(voice, language)

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        self.said += [each.text for each in sentences]
        return self.inner.speak(sentences, stop=stop)


def by_server(server: LoopbackSpeech, transcriber: str = "") -> SpeechServer:
    provider = Provider(ProviderConfig("The speech server", server.base_url), sleep=lambda _: None)
    model = LanguageModel(server.base_url, "tts-1")
    return SpeechServer(model, named_voices("alloy"), transcriber=transcriber, provider=provider)


def spent(job: Job, kind: UsageKind = UsageKind.CHARACTERS) -> float:
    with transaction() as session:
        return usage.job_amount(session, job.id, kind)


def test_joined_sentences_equal_the_text_spoken_at_once(speaker, tmp_path):
    told = narrate(speaker(), script(FIRST, SECOND, voice=Voice(speed=1.3)), {}, engines=[Espeak()])

    whole = speech.narrate(
        [
            Line(text, "en", tmp_path / f"{index}.wav", Voice(speed=1.3))
            for index, text in enumerate((FIRST, SECOND))
        ]
    )
    for scene, one in zip(("s0", "s1"), whole, strict=True):
        said = told.scenes[scene]
        assert storage().locate(said.storage_key).read_bytes() == one.path.read_bytes()
        assert (said.samples, said.words) == (one.samples, one.words)


def test_only_an_edited_sentence_is_spoken_again(speaker):
    engine = Counting()
    narrate(speaker(), script(FIRST, SECOND), {}, engines=[engine])
    engine.said.clear()

    told = narrate(speaker(), script(FIRST.replace("rock", "stone"), SECOND), {}, engines=[engine])

    assert [text.strip() for text in engine.said] == ["It settles on a stone, and it grows!"]
    assert told.scenes["s0"].characters == len(engine.said[0])
    assert (told.scenes["s1"].characters, told.scenes["s1"].cached) == (0, True)


def test_the_same_script_again_speaks_nothing(speaker):
    engine = Counting()
    first = narrate(speaker(), script(FIRST, SECOND, "Once."), {}, engines=[engine])
    engine.said.clear()

    again = narrate(speaker(), script(FIRST, SECOND, "Once."), {}, engines=[engine])

    assert engine.said == []
    assert all(said.cached for said in again.scenes.values())
    assert [said.storage_key for said in first.scenes.values()] == [
        said.storage_key for said in again.scenes.values()
    ]


def test_a_sentence_in_two_scenes_is_spoken_once(speaker):
    engine = Counting()

    told = narrate(speaker(), script("Hello there. Welcome.", "Hello there. Goodbye."), {}, engines=[engine])

    assert sorted(text.strip() for text in engine.said) == ["Goodbye.", "Hello there.", "Welcome."]
    assert sum(said.characters for said in told.scenes.values()) == sum(map(len, engine.said))


def test_an_evicted_sentence_is_spoken_again(speaker):
    engine = Counting()
    first = narrate(speaker(), script(FIRST), {}, engines=[engine])
    with transaction() as session:
        for key in session.scalars(select(StoredSpeech.storage_key)):
            storage().delete(key)

    again = narrate(speaker(), script(FIRST), {}, engines=[engine])

    assert len(engine.said) == 4
    assert storage().locate(again.scenes["s0"].storage_key).is_file()
    assert again.scenes["s0"].words == first.scenes["s0"].words


def test_no_account_shares_another_s_speech(speaker):
    engine = Counting()
    narrate(speaker(), script("Mine alone."), {}, engines=[engine])

    told = narrate(speaker(new_job()), script("Mine alone."), {}, engines=[engine])

    assert len(engine.said) == 2
    assert not told.scenes["s0"].cached


def test_a_text_without_speakable_characters_becomes_a_moment_of_silence(speaker):
    told = narrate(speaker(), script("🎉"), {}, engines=[Espeak()])

    assert told.scenes["s0"].samples == speech.SAMPLE_RATE // 10
    with wave.open(str(storage().locate(told.scenes["s0"].storage_key))) as file:
        assert file.getnframes() == speech.SAMPLE_RATE // 10


def test_an_unknown_voice_is_named_in_the_error(speaker):
    with pytest.raises(SpeechFailed, match="nobody"):
        narrate(speaker(), script("Hello.", voice=Voice("openai:nobody")), {}, engines=[Espeak()])


def test_each_sentence_is_requested_and_charged_once(speaker, server, job):
    engine = by_server(server)

    told = narrate(speaker(), script(FIRST, FIRST), {}, engines=[engine, Espeak()])
    narrate(speaker(), script(FIRST), {}, engines=[engine, Espeak()])

    assert len(server.spoken) == 2
    assert spent(job) == sum(map(len, server.spoken)) == told.scenes["s0"].characters
    assert told.warnings == ()


def test_a_transcription_is_paid_for_by_the_second(speaker, server, job):
    told = narrate(speaker(), script("Corals grow."), {}, engines=[by_server(server, "whisper-1")])
    narrate(speaker(), script("Corals grow."), {}, engines=[by_server(server, "whisper-1")])

    assert len(server.asked("/v1/audio/transcriptions")) == 1
    assert spent(job, UsageKind.TRANSCRIBED) == pytest.approx(told.scenes["s0"].seconds)
    assert spent(job) == len("Corals grow.")


def test_a_transcription_that_failed_costs_nothing(speaker, server, job):
    server.then(server.serve, llm.status(404))

    narrate(speaker(), script("Corals grow."), {}, engines=[by_server(server, "whisper-1")])

    assert (spent(job, UsageKind.TRANSCRIBED), spent(job)) == (0, len("Corals grow."))


def test_a_budget_stops_before_a_sentence_whose_transcription_would_break_it(
    process, speaker, server, monkeypatch
):
    monkeypatch.setenv("SCENEMILL_PRICE_TRANSCRIPTION", "60")
    settings.cache_clear()
    poor = new_job(spec={"budget": 0.1})

    with pytest.raises(QuotaExceeded):
        narrate(speaker(poor), script("Corals grow."), {}, engines=[by_server(server, "whisper-1")])

    assert server.requests == []
    assert (spent(poor, UsageKind.TRANSCRIBED), spent(poor)) == (0, 0)


def test_sentences_are_requested_concurrently_up_to_a_limit(speaker, server):
    gate = threading.Event()
    server.delay = lambda: gate.wait(10)
    text = " ".join(
        f"Sentence number {word}." for word in ("one", "two", "three", "four", "five", "six", "seven")
    )

    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(narrate, speaker(), script(text), {}, engines=[by_server(server)])
        while server.most < settings().speech_concurrency and not telling.done():
            gate.wait(0.01)
        gate.set()
        telling.result(30)

    assert server.most == settings().speech_concurrency
    assert len(server.spoken) == 7


def test_fifty_jobs_with_the_same_sentence_make_one_call(job, server, tmp_path):
    engine = by_server(server)
    jobs = [job] + [new_job(account_id=job.account_id) for _ in range(49)]

    def one(index: int) -> bool:
        work = tmp_path / str(index)
        work.mkdir()
        mine = Speaker(job.account_id, CostTracker(jobs[index]), work, lambda: False)
        return narrate(mine, script("Say it once."), {}, engines=[engine]).scenes["s0"].cached

    with ThreadPoolExecutor(16) as pool:
        cached = list(pool.map(one, range(50)))

    assert server.spoken == ["Say it once."]
    assert cached.count(False) == 1
    assert sum(spent(each) for each in jobs) == len("Say it once.")


def test_a_job_with_no_cache_is_spoken_again(speaker, server):
    engine = by_server(server)
    narrate(speaker(), script("Say it."), {}, engines=[engine])

    narrate(speaker(fresh=True), script("Say it."), {}, engines=[engine])

    assert server.spoken == ["Say it.", "Say it."]


def test_sentences_are_stored_without_redis_too(speaker, server, monkeypatch):
    monkeypatch.setenv("SCENEMILL_REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    response_cache.connection.cache_clear()
    engine = by_server(server)

    for _ in range(2):
        told = narrate(speaker(), script("Say it."), {}, engines=[engine])

    assert server.spoken == ["Say it."]
    assert told.scenes["s0"].cached


def test_the_next_engine_speaks_the_whole_voice_when_a_server_fails(speaker, server, job):
    server.then(server.serve).always(llm.status(401))

    told = narrate(speaker(), script(FIRST), {}, engines=[by_server(server), Espeak()])

    assert told.scenes["s0"].samples > speech.SAMPLE_RATE
    assert "espeak-ng" in told.warnings[0]
    assert spent(job) == len(server.spoken[0])  # what was spoken before it failed


def test_a_voice_that_only_the_server_has_waits_for_it(speaker, server):
    server.always(llm.status(429, headers={"Retry-After": "600"}))

    with pytest.raises(Unavailable) as caught:
        narrate(
            speaker(),
            script("Hello.", voice=Voice("openai:alloy")),
            {},
            engines=[by_server(server), Espeak()],
        )

    assert caught.value.retry_after == 600


def test_a_retry_pays_only_for_what_is_missing(speaker, server, job):
    engine = by_server(server)
    server.then(server.serve, llm.status(401)).always(server.serve)
    with pytest.raises(SpeechFailed):
        narrate(speaker(), script(FIRST), {}, engines=[engine])

    narrate(speaker(), script(FIRST), {}, engines=[engine])

    assert len(server.spoken) == 2
    assert spent(job) == sum(map(len, server.spoken))


def test_a_budget_stops_before_the_call_that_would_break_it(server, process, tmp_path, monkeypatch):
    monkeypatch.setenv("SCENEMILL_PRICE_CHARACTERS", "1000")  # one each
    settings.cache_clear()
    job = new_job(spec={"kind": "video", "budget": 50})
    speaker = Speaker(job.account_id, CostTracker(job), tmp_path, lambda: False)

    with pytest.raises(QuotaExceeded):
        narrate(speaker, script("x" * 40 + ". " + "y" * 40 + "."), {}, engines=[by_server(server), Espeak()])

    assert len(server.spoken) <= 1
    assert spent(job) <= 50


def test_an_account_over_its_budget_makes_no_call(job, speaker, server, monkeypatch):
    monkeypatch.setenv("SCENEMILL_PRICE_CHARACTERS", "1000")
    settings.cache_clear()
    with transaction() as session:
        session.execute(update(Account).where(Account.id == job.account_id).values(budget=3))

    with pytest.raises(QuotaExceeded):
        narrate(speaker(), script("Hello."), {}, engines=[by_server(server)])

    assert server.requests == []


def _claims(seconds: int, flac: bytes) -> bytes:
    """Return a FLAC file whose header states another length than its frames have."""
    samples = int.from_bytes(flac[18:26]) >> 36 << 36 | seconds * 48_000
    return flac[:18] + samples.to_bytes(8) + flac[26:]


def test_a_recording_is_read_only_to_its_probed_length(speaker, tmp_path):
    ffmpeg.run(
        ffmpeg.command("-f", "lavfi", "-i", "sine=r=48000:d=30", "file:long.flac"),
        cwd=tmp_path, limits=ffmpeg.Limits(wall=60),
    )  # fmt: skip
    path = tmp_path / "liar.flac"
    path.write_bytes(_claims(1, (tmp_path / "long.flac").read_bytes()))
    facts = probe(path)
    assert facts.duration == 1.0
    storage().put(path, "assets/liar.flac")
    source = Source("asset:liar", "assets/liar.flac", facts)
    recorded = Script((Scene("a", Narration("A long story.", Voice(), src="asset:liar")),))

    made = narrate(speaker(), recorded, {"asset:liar": source}).scenes["a"]

    assert made.seconds <= 2
    assert storage().locate(made.storage_key).stat().st_size <= 2 * 48_000 * 2 + 4096
