"""Turns a script's narration into sound: speaks it sentence by sentence, so that an edit re-speaks one, and joins it by scene."""

from __future__ import annotations

import logging
import wave
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shared.errors import AssetUnreadable, RenderFailed, SpeechFailed, SpeechUnavailable, Unavailable
from shared.media.sniffing import sniff_file
from shared.processes import ffmpeg
from shared.storage.factory import storage
from tasks.speech import narration_file, utterances
from tasks.speech.engine import SAMPLE_RATE, SpokenSentence, Word
from tasks.speech.engines import engines_for, speech_engines
from tasks.speech.speech_cache import Speaker, StoredSound, find_stored, sound_key, store_sounds
from tasks.speech.word_alignment import align_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shared.script.values import Scene, Script, Voice
    from tasks.speech.engine import SpeechEngine
    from tasks.speech.narration_file import SpokenPart
    from tasks.speech.utterances import Utterance
    from tasks.video.plan.values import Source

log = logging.getLogger(__name__)

# Part of the cache keys: raise it when sentences are joined, or recordings converted, in another way.
REVISION = 1
BEYOND = 1.0  # seconds that a recording may last longer than its probed length


@dataclass(frozen=True, slots=True)
class SceneNarration:
    """A scene's narration in storage, with its length in samples and the times of its words."""

    storage_key: str
    samples: int
    words: tuple[Word, ...]
    characters: int = 0  # newly spoken, so charged; cached sentences cost nothing
    cached: bool = True

    @property
    def seconds(self) -> Fraction:
        """The exact length."""
        return Fraction(self.samples, SAMPLE_RATE)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> SceneNarration:
        """Build the value from `to_json`'s form."""
        return cls(**{**facts, "words": tuple(Word(**word) for word in facts["words"])})


@dataclass(frozen=True, slots=True)
class Narration:
    """The narration by scene id, and warnings for the job's result."""

    scenes: Mapping[str, SceneNarration]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _SceneText:
    """A scene's text, split into sentences, with the stored sound of each once it is spoken."""

    scene: str
    text: str
    voice: Voice
    sentences: tuple[Utterance, ...]
    sounds: list[StoredSound] = field(default_factory=list)
    characters: int = 0

    @property
    def parts(self) -> list[SpokenPart]:
        """The sentences, each with its sound and the silence after it."""
        return [
            narration_file.SpokenPart(
                sentence, sound.heard, sound.samples, narration_file.pause_samples(sentence, self.voice.speed)
            )
            for sentence, sound in zip(self.sentences, self.sounds, strict=True)
        ]


def narrate(
    speaker: Speaker,
    script: Script,
    sources: Mapping[str, Source],
    *,
    engines: Sequence[SpeechEngine] | None = None,
) -> Narration:
    """Return the narration of each scene that speaks; sentences that the account has not stored yet are spoken.

    Raise SpeechFailed, SpeechUnavailable, AssetUnreadable (a voice-over without sound), QuotaExceeded or Stopped.
    """
    scenes = [scene for scene in script.scenes if _has_speech(scene)]
    texts = [
        _scene_text(scene, script.language)
        for scene in scenes
        if scene.narration and scene.narration.src is None
    ]
    warnings = _speak_sentences(
        speaker, texts, script.language, speech_engines() if engines is None else engines
    )
    narrations = _join_sentences(speaker, texts)
    narrations |= {
        scene.id: _use_recording(speaker, scene, sources)
        for scene in scenes
        if scene.narration and scene.narration.src is not None
    }
    return Narration({scene.id: narrations[scene.id] for scene in scenes}, warnings)


def _has_speech(scene: Scene) -> bool:
    narration = scene.narration
    if narration is None:
        return False
    return narration.src is not None or (bool(narration.text.strip()) and narration.voice.name != "none")


def _scene_text(scene: Scene, language: str) -> _SceneText:
    narration = scene.narration
    if narration is None:
        raise TypeError(scene.id)  # `_has_speech` excludes it
    return _SceneText(
        scene.id, narration.text, narration.voice, utterances.split_utterances(narration.text, language)
    )


def _speak_sentences(
    speaker: Speaker, texts: Sequence[_SceneText], language: str, engines: Sequence[SpeechEngine]
) -> tuple[str, ...]:
    """Speak all sentences and return warnings. One engine speaks a voice throughout: the narrator must not change midway."""
    voices: dict[Voice, list[_SceneText]] = defaultdict(list)
    for text in texts:
        voices[text.voice].append(text)
    warnings = []
    for voice, voice_texts in voices.items():
        candidates = engines_for(engines, voice, language)
        sentences = [sentence.spoken for text in voice_texts for sentence in text.sentences]
        engine, sounds, new = _speak_with_first_engine(speaker, candidates, voice, language, sentences)
        if engine is not candidates[0]:
            warnings.append(
                f"The narration is spoken by {engine.name}, because {candidates[0].name} was unavailable."
            )
        for text in voice_texts:
            text.sounds = [sounds[sentence.spoken] for sentence in text.sentences]
            newly_spoken = {sentence.spoken for sentence in text.sentences} & new
            text.characters = sum(map(len, newly_spoken))
            new -= newly_spoken  # a sentence that two scenes say is charged to the first
    return tuple(warnings)


def _speak_with_first_engine(
    speaker: Speaker, engines: Sequence[SpeechEngine], voice: Voice, language: str, sentences: Sequence[str]
) -> tuple[SpeechEngine, dict[str, StoredSound], set[str]]:
    """Return the first engine that speaks every sentence, the sounds, and the sentences that are new.

    If all engines fail, raise SpeechUnavailable with the soonest retry when one of them may work later.
    """
    failures: list[SpeechFailed | Unavailable] = []
    for engine in engines:
        try:
            return engine, *speaker.speak(engine, voice, language, sentences)
        except (SpeechFailed, Unavailable) as error:
            log.warning("speech_failed", extra={"engine": engine.name, "reason": error.detail})
            failures.append(error)
    temporary = [error for error in failures if isinstance(error, Unavailable)]
    if not temporary:
        raise failures[0]
    soonest = min(temporary, key=lambda error: error.retry_after or 0.0)
    raise SpeechUnavailable(*soonest.args) from soonest


def _join_sentences(speaker: Speaker, texts: Sequence[_SceneText]) -> dict[str, SceneNarration]:
    """Return each scene's narration, its sentences joined into one file; a single sentence needs no file of its own."""
    keys = {text.scene: _joined_key(text) for text in texts if len(text.sounds) != 1}
    stored = find_stored(speaker.account_id, list(keys.values()))
    files = {}
    for text in texts:
        key = keys.get(text.scene)
        if key is not None and key not in stored and key not in files:
            target = speaker.workdir / f"{key}.wav"
            paths = [storage().locate(sound.storage_key) for sound in text.sounds]
            files[key] = (
                key,
                target,
                SpokenSentence(narration_file.write_narration(text.parts, paths, target), ()),
            )
    stored |= store_sounds(speaker.account_id, list(files.values()))
    narrations = {}
    for text in texts:
        whole = stored[keys[text.scene]] if text.scene in keys else text.sounds[0]
        words = narration_file.place_words(text.text, text.parts)
        cached = not text.characters and (keys.get(text.scene) not in files)
        narrations[text.scene] = SceneNarration(
            whole.storage_key, whole.samples, words, text.characters, cached
        )
    return narrations


def _joined_key(text: _SceneText) -> str:
    sounds = [[sound.sha256, part.pause_samples] for sound, part in zip(text.sounds, text.parts, strict=True)]
    return sound_key(["joined", REVISION, *sounds])


def _use_recording(speaker: Speaker, scene: Scene, sources: Mapping[str, Source]) -> SceneNarration:
    """Return the client's own voice-over; the words of its text share its time in proportion to their length."""
    narration = scene.narration
    source = sources.get(narration.src or "") if narration else None
    if narration is None or source is None or not (source.media.has_audio or source.media.kind == "audio"):
        raise AssetUnreadable(
            f"The voice-over of scene {scene.id!r} has no usable sound: its file is missing or has no audio track."
        )
    key = sound_key(["recording", REVISION, source.media.sha256])
    stored = find_stored(speaker.account_id, [key])
    cached = key in stored
    if not cached:
        target = speaker.workdir / f"{key}.wav"
        samples = _convert_recording(scene, source, target, speaker.stop)
        stored = store_sounds(speaker.account_id, [(key, target, SpokenSentence(samples, ()))])
    sound = stored[key]
    words = align_words(narration.text, [], sound.samples / SAMPLE_RATE)
    return SceneNarration(sound.storage_key, sound.samples, words, cached=cached)


def _convert_recording(scene: Scene, source: Source, target: Path, stop: Callable[[], bool]) -> int:
    path = storage().locate(source.storage_key)
    with path.open("rb") as file:
        opening = sniff_file(file).input_options()
    downmix = source.media.downmix_filters
    # A header may state a second where the frames last for hours: decode no more than the probe measured.
    seconds = (source.media.duration or 0.0) + BEYOND
    argv = ffmpeg.command(
        *opening, "-i", f"file:{path}", "-vn", "-sn", "-dn", "-map", "0:a:0", "-t", f"{seconds:.3f}",
        *(("-af", ",".join(downmix)) if downmix else ()),
        "-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le", "-bitexact", f"file:{target}",
    )  # fmt: skip
    try:
        limits = ffmpeg.Limits(file=round(seconds * SAMPLE_RATE) * 2 + 4096)
        ffmpeg.run(argv, cwd=target.parent, stop=stop, limits=limits)
    except RenderFailed as error:
        raise AssetUnreadable(
            f"The voice-over of scene {scene.id!r} cannot be decoded. Upload it again as WAV, MP3 or M4A."
        ) from error
    with wave.open(str(target), "rb") as sound:
        return sound.getnframes()
