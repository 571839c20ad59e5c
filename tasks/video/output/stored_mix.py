"""Stores a video's mixed sound under a key of all that is heard, so that an account's equal sound is mixed once."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.db import transaction
from shared.errors import AssetUnreadable
from shared.models import StoredMix
from shared.settings import settings
from shared.storage.factory import storage
from tasks.video.output import artifacts
from tasks.video.output.assembly_plan import build_assembly_plan
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.sound import tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.video.plan.video_plan import Plan

# Part of the key: raise it when the same tracks are mixed into a different sound.
REVISION = 1


def mix_keys(plan: Plan) -> dict[str, str]:
    """Return the key of the sound in each codec that the output needs."""
    return {codec: _mix_key(plan, codec) for codec in artifacts.needed_codecs(plan.output)}


def find_mix(account_id: uuid.UUID, plan: Plan) -> dict[str, Path] | None:
    """Return the stored sound in each codec that the output needs, or None if one is missing. Marks them as used."""
    keys = mix_keys(plan)
    with transaction() as session:
        rows = session.scalars(
            update(StoredMix)
            .where(StoredMix.account_id == account_id, StoredMix.key.in_(keys.values()))
            .values(used_at=func.now())
            .returning(StoredMix)
        ).all()
    stored = {row.key: row.storage_key for row in rows}
    try:
        return {codec: storage().locate(stored[key]) for codec, key in keys.items()}
    except (KeyError, AssetUnreadable):
        return None


def make_mix(account_id: uuid.UUID, plan: Plan, work: Path, *, stop: Callable[[], bool]) -> dict[str, Path]:
    """Mix the sound, store it, and return the files by codec."""
    mixed_files = artifacts.mix_sound(
        build_assembly_plan(plan, ()), work=work, stop=stop, ffmpeg=settings().ffmpeg
    )
    return {codec: _store(account_id, _mix_key(plan, codec), path) for codec, path in mixed_files.items()}


def _store(account_id: uuid.UUID, key: str, path: Path) -> Path:
    size = path.stat().st_size
    # A unique name: a file that another worker reads under this key must never change.
    storage_key = f"mixes/{account_id}/{key[:2]}/{key}-{uuid.uuid4().hex}{path.suffix}"
    storage().put(path, storage_key)
    facts = {"storage_key": storage_key, "bytes": size}
    # Two workers may mix the same sound at once: the later row wins, and orphan cleanup deletes the other file.
    with transaction() as session:
        session.execute(
            upsert(StoredMix)
            .values(account_id=account_id, key=key, **facts)
            .on_conflict_do_update(
                index_elements=["account_id", "key"], set_={**facts, "used_at": func.now()}
            )
        )
    return storage().locate(storage_key)


def _mix_key(plan: Plan, codec: str) -> str:
    """Return the hash of all that is heard.

    The tracks enter by their repr: renaming Track, Take, Envelope or a field of theirs mixes every stored sound anew.
    """
    planned_tracks = tracks.plan_tracks(
        plan.script,
        plan.timeline,
        plan.cues,
        {
            scene: Path(narration.storage_key) for scene, narration in plan.narration.items()
        },  # it holds the content's hash
        {src: Path(source.media.sha256) for src, source in plan.sources.items()},
        {src: source.media for src, source in plan.sources.items()},
    )
    deciding: Mapping[str, object] = {
        "tracks": repr(planned_tracks),
        "samples": tracks.total_samples(plan.timeline),
        "coding": codec,
        "quality": plan.output.quality,
        "title": plan.script.title,
        "ffmpeg": renderer_versions(settings().ffmpeg)["ffmpeg"],
        "revision": REVISION,
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
