"""An OpenAI-compatible speech server: `audio/speech` for the sound, `audio/transcriptions` for its word times.

Servers differ in what they support. A sound format or a transcription that one rejects is not asked for again in this
process; word times are then estimated from syllables.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from shared.errors import SpeechFailed, Unavailable
from tasks.providers.http_client import Provider, ProviderConfig, Request, RequestRefused, UnreadableResponse
from tasks.speech.decoding import NoAudibleSpeech, decode_to_wav
from tasks.speech.engine import SAMPLE_RATE, Sentence, SpokenSentence, WordTime
from tasks.speech.word_timing import TranscribedWord, times_by_syllables, times_by_transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.script.values import Voice
    from shared.script.voices import NamedVoice
    from shared.settings import LanguageModel
    from tasks.providers.bounded_http import Response

log = logging.getLogger(__name__)

PREFIX = "openai:"
REVISION = 1
FORMATS = ("wav", "mp3")  # tried in this order
PCM_RATE = 24_000  # of headerless samples whose rate is not given
BASE_BYTES, MAX_RESPONSE_BYTES = 2 * 1024 * 1024, 40 * 1024 * 1024
BYTES_PER_CHARACTER = 20_000  # of a slow voice at 48 kHz
_FORMAT = re.compile(r"response.?format|audio.?format|wav|unsupported format", re.IGNORECASE)
_RATE = re.compile(r"rate=(\d{4,6})")


class SpeechServer:
    """One server, model and voices, and what this process found the server to reject."""

    is_paid = True

    def __init__(
        self,
        model: LanguageModel,
        voices: Sequence[NamedVoice],
        *,
        transcriber: str = "",
        provider: Provider | None = None,
    ) -> None:
        self.name = f"{PREFIX}{model.model}"
        self._model, self._voices = model, voices
        headers = {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}
        address = ProviderConfig("The speech server", model.base_url, headers)
        self.provider = provider or Provider(address)
        self._transcription_provider = Provider(
            self.provider.config
        )  # with a breaker of its own: failing transcriptions must not stop the speech
        self._transcriber = transcriber
        self._format_index = 0

    @property
    def transcribes(self) -> bool:
        """Whether sentences are transcribed: configured, and not rejected by the server."""
        return bool(self._transcriber)

    def voice_id(self, voice: Voice, language: str) -> str | None:
        """Return the named voice, else the first voice of the language."""
        if voice.name is not None:
            name = voice.name.removeprefix(PREFIX)
            known = voice.name.startswith(PREFIX) and any(each.name == name for each in self._voices)
            return name if known else None
        return next((each.name for each in self._voices if each.speaks(language)), None)

    def cache_identity(self, voice: Voice, language: str) -> tuple[str | float, ...]:
        """Return the server, the model, the voice and its speed."""
        name = self.voice_id(voice, language) or ""
        return ("openai", REVISION, self._model.base_url, self._model.model, name, voice.speed, language)

    def speak(self, sentences: Sequence[Sentence], *, stop: Callable[[], bool]) -> tuple[SpokenSentence, ...]:
        """Speak one sentence a call."""
        return tuple(self._speak_sentence(each, stop) for each in sentences)

    def _speak_sentence(self, sentence: Sentence, stop: Callable[[], bool]) -> SpokenSentence:
        try:
            samples = self._fetch_sound(sentence, stop)
        except RequestRefused as error:
            raise SpeechFailed(f"The speech server refused to speak ({error.status}).") from error
        heard, transcribed = self._fetch_word_times(sentence, samples / SAMPLE_RATE, stop)
        return SpokenSentence(samples, heard, transcribed)

    def _fetch_sound(self, sentence: Sentence, stop: Callable[[], bool]) -> int:
        def read(answer: Response) -> int:
            try:
                return decode_to_wav(answer.body, sentence.target, stop=stop, pcm=_bare_sample_rate(answer))
            except NoAudibleSpeech as error:
                raise UnreadableResponse(str(error)) from error

        while True:
            tried = self._format_index
            try:
                return self.provider.call(self._request(sentence, FORMATS[tried]), read, stop=stop)
            except RequestRefused as error:
                if tried + 1 == len(FORMATS) or not _FORMAT.search(error.body_start):
                    raise
                self._format_index = tried + 1
                log.info("speech_format_changed", extra={"format": FORMATS[self._format_index]})

    def _request(self, sentence: Sentence, form: str) -> Request:
        body: dict[str, Any] = {
            "model": self._model.model,
            "input": sentence.text,
            "voice": self.voice_id(sentence.voice, sentence.language),
            "response_format": form,
        }
        if sentence.voice.speed != 1.0:
            body["speed"] = sentence.voice.speed
        max_bytes = min(BASE_BYTES + BYTES_PER_CHARACTER * len(sentence.text), MAX_RESPONSE_BYTES)
        return Request("POST", "/audio/speech", json=body, max_bytes=max_bytes)

    def _fetch_word_times(
        self, sentence: Sentence, seconds: float, stop: Callable[[], bool]
    ) -> tuple[tuple[WordTime, ...], float]:
        """Return the word times, from a transcript where one fits the text, and the seconds that were transcribed."""
        transcript = self._fetch_transcript(sentence, stop) if self._transcriber else None
        found = times_by_transcript(sentence.text, transcript, seconds) if transcript else None
        return found or times_by_syllables(sentence.text, seconds), 0.0 if transcript is None else seconds

    def _fetch_transcript(
        self, sentence: Sentence, stop: Callable[[], bool]
    ) -> tuple[TranscribedWord, ...] | None:
        """Return the words of a transcript, () where it has no word times; None where there is no transcript."""
        request = Request(
            "POST",
            "/audio/transcriptions",
            data={
                "model": self._transcriber,
                "response_format": "verbose_json",
                "timestamp_granularities[]": "word",
                "language": sentence.language.partition("-")[0].lower(),
            },
            files={"file": ("speech.wav", sentence.target.read_bytes(), "audio/wav")},
            max_bytes=1024 * 1024,
        )
        try:
            words = self._transcription_provider.call(request, _read_transcript, stop=stop)
        except Unavailable:
            return None
        except RequestRefused:
            words = None
        if not words:
            self._transcriber = ""
            log.info("speech_transcription_disabled", extra={"engine": self.name})
        return words


def _bare_sample_rate(answer: Response) -> int | None:
    """Return the rate of headerless samples, None for a file that says its own format."""
    kind = answer.headers.get("content-type", "").lower()
    if not kind.startswith(("audio/pcm", "audio/l16", "audio/x-pcm")):
        return None
    rate = _RATE.search(kind)
    return int(rate[1]) if rate else PCM_RATE


def _read_transcript(answer: Response) -> tuple[TranscribedWord, ...]:
    """Return the words of a transcript; () where the server gives no word times."""
    try:
        document = json.loads(answer.body)
        words = document.get("words") or ()
        found = [
            TranscribedWord(str(each["word"]), float(each["start"]), float(each["end"])) for each in words
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableResponse("The transcript cannot be read.") from error
    sound = (each for each in found if any(map(str.isalnum, each.text)) and 0 <= each.start <= each.end)
    return tuple(sorted(sound, key=lambda word: word.start))
