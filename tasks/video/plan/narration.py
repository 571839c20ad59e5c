"""Has a script's narration spoken, sentence by sentence, and joins what each scene says: an edit speaks one again."""

from __future__ import annotations

import logging
import wave
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shared.errors import AssetUnreadable, RenderFailed, SpeechFailed, SpeechUnavailable, Unavailable
from shared.media.probing import HEAD_BYTES, sniff
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

# Goes up when sentences are joined, or recordings taken, in another way.
REVISION = 1
BEYOND = 1.0  # seconds that a recording may last longer than its probed length


@dataclass(frozen=True, slots=True)
class SceneNarration:
    """A scene's narration in storage: how long it is, and when its words are heard."""

    storage_key: str
    samples: int
    words: tuple[Word, ...]
    characters: int = 0  # that were spoken for it just now
    cached: bool = True

    @property
    def seconds(self) -> Fraction:
        """Its length, exactly."""
        return Fraction(self.samples, SAMPLE_RATE)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_json` undoes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> SceneNarration:
        """Make it again from `to_json`."""
        return cls(**{**facts, "words": tuple(Word(**word) for word in facts["words"])})


@dataclass(frozen=True, slots=True)
class Narration:
    """The narration of each scene that speaks, and what a person should know of it."""

    scenes: Mapping[str, SceneNarration]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _SceneText:
    """What a scene says, cut into sentences."""

    scene: str
    text: str
    voice: Voice
    sentences: tuple[Utterance, ...]
    kept: list[StoredSound] = field(default_factory=list)
    characters: int = 0

    @property
    def parts(self) -> list[SpokenPart]:
        """Its sentences with their sound and the silence after each."""
        return [
            narration_file.SpokenPart(
                each, kept.heard, kept.samples, narration_file.pause_samples(each, self.voice.speed)
            )
            for each, kept in zip(self.sentences, self.kept, strict=True)
        ]


def narrate(
    speaker: Speaker,
    script: Script,
    found: Mapping[str, Source],
    *,
    among: Sequence[SpeechEngine] | None = None,
) -> Narration:
    """Return the narration of each scene that speaks; what the account has not heard yet is spoken and stored."""
    scenes = [scene for scene in script.scenes if _has_speech(scene)]
    texts = [_scene_text(scene) for scene in scenes if scene.narration and scene.narration.src is None]
    warnings = _speak_sentences(speaker, texts, script.language, speech_engines() if among is None else among)
    narrated = _join_sentences(speaker, texts)
    narrated |= {
        scene.id: _use_recording(speaker, scene, found)
        for scene in scenes
        if scene.narration and scene.narration.src is not None
    }
    return Narration({scene.id: narrated[scene.id] for scene in scenes}, warnings)


def _has_speech(scene: Scene) -> bool:
    said = scene.narration
    if said is None:
        return False
    return said.src is not None or (bool(said.text.strip()) and said.voice.name != "none")


def _scene_text(scene: Scene) -> _SceneText:
    narration = scene.narration
    if narration is None:
        raise TypeError(scene.id)  # `_speaks` said otherwise
    return _SceneText(scene.id, narration.text, narration.voice, utterances.split_utterances(narration.text))


def _speak_sentences(
    speaker: Speaker, texts: Sequence[_SceneText], language: str, among: Sequence[SpeechEngine]
) -> tuple[str, ...]:
    """Have all sentences spoken; each voice by one engine, so that no narrator changes within a video."""
    voices: dict[Voice, list[_SceneText]] = defaultdict(list)
    for each in texts:
        voices[each.voice].append(each)
    warnings = []
    for voice, said in voices.items():
        candidates = engines_for(among, voice, language)
        sentences = [each.spoken for text in said for each in text.sentences]
        engine, kept, new = _speak_with_first_engine(speaker, candidates, voice, language, sentences)
        if engine is not candidates[0]:
            warnings.append(
                f"The narration is spoken by {engine.name}, since {candidates[0].name} could not be had."
            )
        for text in said:
            text.kept = [kept[each.spoken] for each in text.sentences]
            fresh = {each.spoken for each in text.sentences} & new
            text.characters = sum(map(len, fresh))
            new -= fresh
    return tuple(warnings)


def _speak_with_first_engine(
    speaker: Speaker, among: Sequence[SpeechEngine], voice: Voice, language: str, sentences: Sequence[str]
) -> tuple[SpeechEngine, dict[str, StoredSound], set[str]]:
    """Return the first engine that speaks it all, and what it spoke; or raise what leaves most hope."""
    failures: list[SpeechFailed | Unavailable] = []
    for engine in among:
        try:
            return engine, *speaker.speak(engine, voice, language, sentences)
        except (SpeechFailed, Unavailable) as error:
            log.warning("speech_failed", extra={"engine": engine.name, "reason": error.detail})
            failures.append(error)
    later = [error for error in failures if isinstance(error, Unavailable)]
    if not later:
        raise failures[0]
    soonest = min(later, key=lambda error: error.retry_after or 0.0)
    raise SpeechUnavailable(*soonest.args) from soonest


def _join_sentences(speaker: Speaker, texts: Sequence[_SceneText]) -> dict[str, SceneNarration]:
    """Join each scene's sentences; one that is a single sentence is that sentence's file."""
    several = {each.scene: _joined_key(each) for each in texts if len(each.kept) != 1}
    found = find_stored(speaker.account_id, list(several.values()))
    files = {}
    for each in texts:
        key = several.get(each.scene)
        if key is not None and key not in found and key not in files:
            target = speaker.workdir / f"{key}.wav"
            paths = [storage().locate(kept.storage_key) for kept in each.kept]
            files[key] = (
                key,
                target,
                SpokenSentence(narration_file.write_narration(each.parts, paths, target), ()),
            )
    found |= store_sounds(speaker.account_id, list(files.values()))
    narrated = {}
    for each in texts:
        whole = found[several[each.scene]] if each.scene in several else each.kept[0]
        words = narration_file.place_words(each.text, each.parts)
        cached = not each.characters and (several.get(each.scene) not in files)
        narrated[each.scene] = SceneNarration(
            whole.storage_key, whole.samples, words, each.characters, cached
        )
    return narrated


def _joined_key(text: _SceneText) -> str:
    sounds = [[kept.sha256, part.pause_samples] for kept, part in zip(text.kept, text.parts, strict=True)]
    return sound_key(["joined", REVISION, *sounds])


def _use_recording(speaker: Speaker, scene: Scene, found: Mapping[str, Source]) -> SceneNarration:
    """Take the client's own voice-over; its words share its time by their length."""
    narration = scene.narration
    source = found.get(narration.src or "") if narration else None
    if narration is None or source is None or not (source.media.has_audio or source.media.kind == "audio"):
        raise AssetUnreadable(f"The voice-over of scene {scene.id!r} has no sound that can be had.")
    key = sound_key(["recording", REVISION, source.media.sha256])
    kept = find_stored(speaker.account_id, [key])
    cached = key in kept
    if not cached:
        target = speaker.workdir / f"{key}.wav"
        samples = _convert_recording(scene, source, target, speaker.stop)
        kept = store_sounds(speaker.account_id, [(key, target, SpokenSentence(samples, ()))])
    sound = kept[key]
    words = align_words(narration.text, [], sound.samples / SAMPLE_RATE)
    return SceneNarration(sound.storage_key, sound.samples, words, cached=cached)


def _convert_recording(scene: Scene, source: Source, target: Path, stop: Callable[[], bool]) -> int:
    path = storage().locate(source.storage_key)
    with path.open("rb") as file:
        demuxer = sniff(file.read(HEAD_BYTES)).demuxer
    # A header may state a second where the frames last for hours; what was accepted is what the probe found.
    seconds = (source.media.duration or 0.0) + BEYOND
    argv = ffmpeg.command(
        "-f", demuxer, "-i", f"file:{path}", "-vn", "-sn", "-dn", "-map", "0:a:0", "-t", f"{seconds:.3f}",
        "-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le", "-bitexact", f"file:{target}",
    )  # fmt: skip
    try:
        limits = ffmpeg.Limits(file=round(seconds * SAMPLE_RATE) * 2 + 4096)
        ffmpeg.run(argv, cwd=target.parent, stop=stop, limits=limits)
    except RenderFailed as error:
        raise AssetUnreadable(f"The voice-over of scene {scene.id!r} cannot be read.") from error
    with wave.open(str(target), "rb") as sound:
        return sound.getnframes()
