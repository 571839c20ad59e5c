"""Has a script's narration spoken, each text once for an account: what was spoken before comes from the store."""

from __future__ import annotations

import hashlib
import json
import wave
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared import ffmpeg
from shared.db import transaction
from shared.errors import AssetUnreadable, RenderFailed
from shared.media import HEAD_BYTES, sniff
from shared.models import StoredSpeech
from shared.storage import storage
from tasks import speech
from tasks.speech.speech import RATE, Line, Word
from tasks.speech.words import align

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shared.script import Narration, Scene, Script
    from tasks.video.segments import Source

# Goes up when `tasks.speech` makes another sound of the same text, so that nothing older is taken for it.
REVISION = 1


@cache
def engine() -> str:
    """Return what speaks, by name and version."""
    return f"espeak-ng {version('espeakng-loader')} r{REVISION}"


@dataclass(frozen=True, slots=True)
class Narrated:
    """A scene's narration in storage: how long it is, and when its words are heard."""

    storage_key: str
    samples: int
    words: tuple[Word, ...]
    characters: int = 0
    cached: bool = True

    @property
    def seconds(self) -> Fraction:
        """Its length, exactly."""
        return Fraction(self.samples, RATE)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_json` undoes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Narrated:
        """Make it again from `to_json`."""
        return cls(**{**facts, "words": tuple(Word(**word) for word in facts["words"])})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A narration that a scene needs, and the key that it is stored under."""

    scene: Scene
    narration: Narration
    key: str
    source: Source | None


def narrate(
    account_id: uuid.UUID,
    script: Script,
    found: Mapping[str, Source],
    work: Path,
    *,
    stop: Callable[[], bool],
) -> dict[str, Narrated]:
    """Return the narration of each scene that speaks; what the account has not heard yet is spoken and stored."""
    wanted = [_want(scene, script.language, found) for scene in script.scenes if _speaks(scene)]
    done = _stored(account_id, [each.key for each in wanted])
    missing = list({each.key: each for each in wanted if each.key not in done}.values())
    done.update(_store(account_id, missing, _make(missing, script.language, work, stop)))
    return {each.scene.id: done[each.key] for each in wanted}


def _speaks(scene: Scene) -> bool:
    said = scene.narration
    if said is None:
        return False
    return said.src is not None or (bool(said.text.strip()) and said.voice.name != "none")


def _want(scene: Scene, language: str, found: Mapping[str, Source]) -> _Wanted:
    narration = scene.narration
    if narration is None:
        raise TypeError(scene.id)  # `_speaks` said otherwise
    source = None
    if narration.src is not None:
        source = found.get(narration.src)
        if source is None or not (source.media.has_audio or source.media.kind == "audio"):
            raise AssetUnreadable(f"The voice-over of scene {scene.id!r} has no sound that can be had.")
    return _Wanted(scene, narration, _key(narration, language, source), source)


def _key(narration: Narration, language: str, source: Source | None) -> str:
    """Return a hash of all that decides how a narration sounds and when its words are heard."""
    sound = [engine(), language, asdict(narration.voice)] if source is None else [source.media.sha256]
    said = json.dumps([*sound, narration.text], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _stored(account_id: uuid.UUID, keys: Sequence[str]) -> dict[str, Narrated]:
    with transaction() as session:
        rows = session.scalars(
            update(StoredSpeech)
            .where(StoredSpeech.account_id == account_id, StoredSpeech.key.in_(keys))
            .values(used_at=func.now())
            .returning(StoredSpeech)
        ).all()
    return {
        row.key: Narrated.from_json(row.facts) for row in rows if storage().path(row.storage_key).is_file()
    }


def _make(
    missing: Sequence[_Wanted], language: str, work: Path, stop: Callable[[], bool]
) -> list[tuple[Path, Narrated]]:
    """Speak what is text, take the sound of what is recorded; each into a file of its own in `work`."""
    targets = {each.key: work / f"speech-{index}.wav" for index, each in enumerate(missing)}
    texts = [each for each in missing if each.source is None]
    lines = [Line(each.narration.text, language, targets[each.key], each.narration.voice) for each in texts]
    spoken = {each.key: one for each, one in zip(texts, speech.narrate(lines, stop=stop), strict=True)}
    made = []
    for each in missing:
        target = targets[each.key]
        if each.source is None:
            one = spoken[each.key]
            facts = Narrated("", one.samples, one.words, len(each.narration.text), cached=False)
        else:
            facts = _take_recording(each, each.source, target, stop)
        made.append((target, facts))
    return made


def _take_recording(each: _Wanted, source: Source, target: Path, stop: Callable[[], bool]) -> Narrated:
    """Turn the client's own voice-over into the narration's form; its words share its time by their length."""
    path = storage().locate(source.storage_key)
    with path.open("rb") as file:
        demuxer = sniff(file.read(HEAD_BYTES)).demuxer
    argv = ffmpeg.command(
        "-f", demuxer, "-i", f"file:{path}", "-vn", "-sn", "-dn", "-map", "0:a:0",
        "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", "-bitexact", f"file:{target}",
    )  # fmt: skip
    try:
        ffmpeg.run(argv, cwd=target.parent, stop=stop)
    except RenderFailed as error:
        raise AssetUnreadable(f"The voice-over of scene {each.scene.id!r} cannot be read.") from error
    with wave.open(str(target), "rb") as sound:
        samples = sound.getnframes()
    words = align(each.narration.text, [], samples / RATE)
    return Narrated("", samples, words, cached=False)


def _store(
    account_id: uuid.UUID, missing: Sequence[_Wanted], made: Sequence[tuple[Path, Narrated]]
) -> dict[str, Narrated]:
    rows = []
    for each, (path, facts) in zip(missing, made, strict=True):
        storage_key = f"speech/{account_id}/{each.key[:2]}/{each.key}.wav"
        size = path.stat().st_size
        storage().put(path, storage_key)
        kept = replace(facts, storage_key=storage_key)
        rows.append((each.key, size, kept))
    if rows:
        with transaction() as session:
            for key, size, kept in rows:
                stored = {"storage_key": kept.storage_key, "bytes": size}
                facts_kept = replace(kept, cached=True).to_json()
                session.execute(
                    upsert(StoredSpeech)
                    .values(account_id=account_id, key=key, facts=facts_kept, **stored)
                    .on_conflict_do_update(
                        index_elements=["account_id", "key"],
                        set_={"used_at": func.now(), "facts": facts_kept},
                    )
                )
    return {key: kept for key, _, kept in rows}
