"""Has sentences spoken, each once for an account: what was spoken before comes from the store.

An engine that costs is asked for one sentence a call, a few at once, and of many that want the same sentence one asks.
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
from tasks.speech.engine import Heard, Said, Sentence

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from shared.script.values import Voice
    from tasks.cost_tracker import Purse
    from tasks.speech.engine import Engine

WRITERS = 4  # files that are brought safely to the disk at once


@dataclass(frozen=True, slots=True)
class Kept:
    """A spoken sentence, or several joined, in storage. The file's name is the hash of what it holds."""

    storage_key: str
    sha256: str
    bytes: int
    samples: int
    heard: tuple[Heard, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_json` undoes it."""
        heard = [[each.place, each.start, each.end] for each in self.heard]
        return {
            "storage_key": self.storage_key,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "samples": self.samples,
            "heard": heard,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Kept:
        """Make it again from `to_json`."""
        heard = tuple(Heard(place, start, end) for place, start, end in facts["heard"])
        return cls(**{**facts, "heard": heard})


@dataclass(frozen=True, slots=True)
class Speaker:
    """What one attempt at a job has spoken for it. `fresh` takes nothing from the store."""

    account_id: uuid.UUID
    purse: Purse
    work: Path
    stop: Callable[[], bool]
    fresh: bool = False

    def speak(
        self, engine: Engine, voice: Voice, language: str, texts: Iterable[str]
    ) -> tuple[dict[str, Kept], set[str]]:
        """Return each sentence in storage, and those that were spoken just now; or raise what the engine raises."""
        keys = {text: key_of([*engine.identity(voice, language), text]) for text in dict.fromkeys(texts)}
        found = {} if self.fresh else stored(self.account_id, list(keys.values()))
        missing = {text: key for text, key in keys.items() if key not in found}
        sentences = {
            key: Sentence(text, language, self.work / f"{key}.wav", voice) for text, key in missing.items()
        }
        if engine.costs:
            made, asked = self._pay_for(engine, sentences)
        else:
            made, asked = self._say(engine, sentences), set(sentences)
        found |= made
        return {text: found[key] for text, key in keys.items()}, {
            text for text, key in missing.items() if key in asked
        }

    def _say(self, engine: Engine, sentences: Mapping[str, Sentence]) -> dict[str, Kept]:
        said = engine.say(list(sentences.values()), stop=self.stop)
        files = [
            (key, sentence.target, each)
            for (key, sentence), each in zip(sentences.items(), said, strict=True)
        ]
        return keep(self.account_id, files)

    def _pay_for(self, engine: Engine, sentences: Mapping[str, Sentence]) -> tuple[dict[str, Kept], set[str]]:
        """Have each spoken by a call of its own. What was spoken before one failed is kept and not paid for again."""
        asked = set[str]()
        lock = threading.Lock()

        def one(key: str, sentence: Sentence) -> Kept:
            kept, cached = self._once(engine, key, sentence)
            if not cached:
                with lock:
                    asked.add(key)
            return kept

        with ThreadPoolExecutor(settings().speech_concurrency, thread_name_prefix="speech") as pool:
            running = {
                key: pool.submit(copy_context().run, one, key, sentence)
                for key, sentence in sentences.items()
            }
            wait(running.values(), return_when=FIRST_EXCEPTION)
            for each in running.values():
                each.cancel()  # the others that have begun are let end, as they are paid for
            wait([each for each in running.values() if not each.cancelled()])
        failed = [each for each in running.values() if not each.cancelled() and each.exception()]
        if failed:
            failed[0].result()
        return {key: each.result() for key, each in running.items()}, asked

    def _once(self, engine: Engine, key: str, sentence: Sentence) -> tuple[Kept, bool]:
        question = response_cache.question("speech", self.account_id, key)

        def make() -> dict[str, Any]:
            heard = speaking_rate.estimate_speech_seconds(sentence.text) if engine.transcribes else 0.0
            with (
                self.purse.paying(UsageKind.CHARACTERS, len(sentence.text)),
                self.purse.paying(UsageKind.TRANSCRIBED, heard) as bill,
            ):
                (said,) = engine.say([sentence], stop=self.stop)
                bill.amount = said.transcribed
            return keep(self.account_id, [(key, sentence.target, said)])[key].to_json()

        ttl = settings().cache_ttl.total_seconds()
        answer = response_cache.once(question, make, ttl=ttl, fresh=self.fresh, stop=self.stop)
        if answer.cached and not storage().find_existing([answer.value["storage_key"]]):
            answer = response_cache.once(question, make, ttl=ttl, fresh=True, stop=self.stop)
        return Kept.from_json(answer.value), answer.cached


def key_of(deciding: Sequence[Any]) -> str:
    """Return the hash of all that decides a sound."""
    return hashlib.sha256(json.dumps(deciding, ensure_ascii=False).encode()).hexdigest()


def stored(account_id: uuid.UUID, keys: Sequence[str]) -> dict[str, Kept]:
    """Return what of this the store holds, and note that it was used."""
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
    return {row.key: Kept.from_json(row.facts) for row in rows if row.storage_key in there}


def keep(account_id: uuid.UUID, files: Sequence[tuple[str, Path, Said]]) -> dict[str, Kept]:
    """Move files into storage, each under its content's hash, and write down under which keys they are found."""

    def put(file: tuple[str, Path, Said]) -> tuple[str, Kept]:
        key, path, said = file
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        storage_key = f"speech/{account_id}/{sha256[:2]}/{sha256}.wav"
        storage().put(path, storage_key)
        return key, Kept(storage_key, sha256, len(content), said.samples, said.heard)

    if not files:
        return {}
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="speech") as pool:
        kept = dict(pool.map(put, files))
    rows = [
        {
            "account_id": account_id,
            "key": key,
            "storage_key": each.storage_key,
            "bytes": each.bytes,
            "facts": each.to_json(),
        }
        for key, each in sorted(
            kept.items()
        )  # in one order, so that two who write the same wait and do not lock
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
    return kept
