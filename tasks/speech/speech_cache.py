"""Speaks sentences through the store: each is spoken once for an account, however many jobs need it.

Paid engines get one sentence a call, several calls at once; of many jobs that need the same sentence one calls.
"""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.db import transaction
from shared.models import StoredSpeech
from shared.script import speaking_rate
from shared.settings import settings
from shared.storage.factory import storage
from shared.usage import UsageKind
from tasks.providers import response_cache
from tasks.speech.engine import Sentence, SpokenSentence, WordTime

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from shared.script.values import Voice
    from tasks.cost_tracker import CostTracker
    from tasks.speech.engine import SpeechEngine

PARALLEL_WRITES = 4  # files written and synced at once


@dataclass(frozen=True, slots=True)
class StoredSound:
    """A spoken sentence, or a joined narration, in storage under the hash of its content."""

    storage_key: str
    sha256: str
    bytes: int
    samples: int
    heard: tuple[WordTime, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the table row; `from_json` reads them."""
        heard = [[each.place, each.start, each.end] for each in self.heard]
        return {
            "storage_key": self.storage_key,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "samples": self.samples,
            "heard": heard,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> StoredSound:
        """Return the value of `to_json`'s fields."""
        heard = tuple(WordTime(place, start, end) for place, start, end in facts["heard"])
        return cls(**{**facts, "heard": heard})


@dataclass(frozen=True, slots=True)
class Speaker:
    """Speaks for one attempt at a job. `refresh` ignores the store."""

    account_id: uuid.UUID
    cost_tracker: CostTracker
    workdir: Path
    stop: Callable[[], bool]
    refresh: bool = False

    def speak(
        self, engine: SpeechEngine, voice: Voice, language: str, texts: Iterable[str]
    ) -> tuple[dict[str, StoredSound], set[str]]:
        """Return each sentence's stored sound, and the sentences that were spoken now; raise what the engine raises."""
        keys = {
            text: sound_key([*engine.cache_identity(voice, language), text]) for text in dict.fromkeys(texts)
        }
        found = {} if self.refresh else find_stored(self.account_id, list(keys.values()))
        missing = {text: key for text, key in keys.items() if key not in found}
        sentences = {
            key: Sentence(text, language, self.workdir / f"{key}.wav", voice) for text, key in missing.items()
        }
        if engine.is_paid:
            spoken, paid_keys = self._speak_paid(engine, sentences)
        else:
            spoken, paid_keys = self._speak_free(engine, sentences), set(sentences)
        found |= spoken
        return {text: found[key] for text, key in keys.items()}, {
            text for text, key in missing.items() if key in paid_keys
        }

    def _speak_free(self, engine: SpeechEngine, sentences: Mapping[str, Sentence]) -> dict[str, StoredSound]:
        said = engine.speak(list(sentences.values()), stop=self.stop)
        files = [
            (key, sentence.target, each)
            for (key, sentence), each in zip(sentences.items(), said, strict=True)
        ]
        return store_sounds(self.account_id, files)

    def _speak_paid(
        self, engine: SpeechEngine, sentences: Mapping[str, Sentence]
    ) -> tuple[dict[str, StoredSound], set[str]]:
        """Speak each sentence by a call of its own. Those spoken before one fails are stored, and not paid for again."""
        paid_keys = set[str]()
        lock = threading.Lock()

        def one(key: str, sentence: Sentence) -> StoredSound:
            sounds, cached = self._speak_once(engine, key, sentence)
            if not cached:
                with lock:
                    paid_keys.add(key)
            return sounds

        with ThreadPoolExecutor(settings().speech_concurrency, thread_name_prefix="speech") as pool:
            running = {
                key: pool.submit(copy_context().run, one, key, sentence)
                for key, sentence in sentences.items()
            }
            wait(running.values(), return_when=FIRST_EXCEPTION)
            for each in running.values():
                each.cancel()  # calls that have begun are waited for: they are paid for
            wait([each for each in running.values() if not each.cancelled()])
        failed = [each for each in running.values() if not each.cancelled() and each.exception()]
        if failed:
            failed[0].result()
        return {key: each.result() for key, each in running.items()}, paid_keys

    def _speak_once(self, engine: SpeechEngine, key: str, sentence: Sentence) -> tuple[StoredSound, bool]:
        question = response_cache.cache_key("speech", self.account_id, key)

        def make() -> dict[str, Any]:
            heard = speaking_rate.estimate_speech_seconds(sentence.text) if engine.transcribes else 0.0
            with (
                self.cost_tracker.reserve(UsageKind.CHARACTERS, len(sentence.text)),
                self.cost_tracker.reserve(UsageKind.TRANSCRIBED, heard) as reservation,
            ):
                (said,) = engine.speak([sentence], stop=self.stop)
                reservation.amount = said.transcribed
            return store_sounds(self.account_id, [(key, sentence.target, said)])[key].to_json()

        ttl = settings().cache_ttl.total_seconds()
        answer = response_cache.get_or_compute(question, make, ttl=ttl, refresh=self.refresh, stop=self.stop)
        if answer.cached and not storage().find_existing([answer.value["storage_key"]]):
            answer = response_cache.get_or_compute(question, make, ttl=ttl, refresh=True, stop=self.stop)
        return StoredSound.from_json(answer.value), answer.cached


def sound_key(deciding: Sequence[Any]) -> str:
    """Return the hash of everything that decides a sound."""
    return hashlib.sha256(json.dumps(deciding, ensure_ascii=False).encode()).hexdigest()


def find_stored(account_id: uuid.UUID, keys: Sequence[str]) -> dict[str, StoredSound]:
    """Return the stored sounds of these keys, and mark them as used now."""
    if not keys:
        return {}
    with transaction() as session:
        rows = session.scalars(
            update(StoredSpeech)
            .where(StoredSpeech.account_id == account_id, StoredSpeech.key.in_(keys))
            .values(used_at=func.now())
            .returning(StoredSpeech)
        ).all()
    there = storage().find_existing(row.storage_key for row in rows)
    return {row.key: StoredSound.from_json(row.facts) for row in rows if row.storage_key in there}


def store_sounds(
    account_id: uuid.UUID, files: Sequence[tuple[str, Path, SpokenSentence]]
) -> dict[str, StoredSound]:
    """Move files into storage, each under its content's hash, and write their rows."""

    def put(file: tuple[str, Path, SpokenSentence]) -> tuple[str, StoredSound]:
        key, path, said = file
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        storage_key = f"speech/{account_id}/{sha256[:2]}/{sha256}.wav"
        storage().put(path, storage_key)
        return key, StoredSound(storage_key, sha256, len(content), said.samples, said.heard)

    if not files:
        return {}
    with ThreadPoolExecutor(PARALLEL_WRITES, thread_name_prefix="speech") as pool:
        sounds = dict(pool.map(put, files))
    rows = [
        {
            "account_id": account_id,
            "key": key,
            "storage_key": each.storage_key,
            "bytes": each.bytes,
            "facts": each.to_json(),
        }
        for key, each in sorted(
            sounds.items()
        )  # sorted: two jobs that write the same rows in opposite order would deadlock
    ]
    insert = upsert(StoredSpeech)
    changed = {name: insert.excluded[name] for name in ("storage_key", "bytes", "facts")}
    with transaction() as session:
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["account_id", "key"], set_={**changed, "used_at": func.now()}
            ),
            rows,
        )
    return sounds
