"""Mixes a video's sound while its segments are rendered, once for an account: the same sound is never mixed again.

It is a help and no duty: nobody waits for it, and assembly mixes what it does not find.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.db import transaction
from shared.errors import AssetUnreadable, ServiceError
from shared.logs import bind
from shared.models import Job, StoredMix
from shared.processes.ffmpeg import Stopped
from shared.settings import settings
from shared.states import State
from shared.storage.factory import storage
from tasks.heartbeat import Heartbeat
from tasks.video import plan_task
from tasks.video.output import artifacts
from tasks.video.plan.cache_keys import renderer_versions
from tasks.video.sound import tracks
from tasks.workdir import attempt_workdir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

# Goes up when the same tracks are mixed into another sound.
REVISION = 1


def perform(job_id: str) -> None:
    """Mix the sound of a planned job that is still wanted, unless it is stored already."""
    with transaction() as session:
        job = session.scalar(select(Job).where(Job.id == uuid.UUID(job_id), Job.state == State.RUNNING))
    if job is None or job.plan is None:
        return
    plan = plan_task.load_plan(job)
    config = settings()
    with bind(task_id=job_id, attempt=job.attempt, request_id=job.request_id):
        try:
            with (
                attempt_workdir() as work,
                Heartbeat(
                    lambda: _is_running(job), every=config.heartbeat_interval, lease=config.lease_duration
                ) as heartbeat,
            ):
                if find_mix(job.account_id, plan) is None:
                    make_mix(job.account_id, plan, work, stop=heartbeat.should_stop)
        except Stopped:
            log.info("mix_stopped")
        except ServiceError as error:
            log.warning("mix_failed", extra={"reason": type(error).__name__})


def _is_running(job: Job) -> bool:
    with transaction() as session:
        return session.scalar(select(Job.state).where(Job.id == job.id)) == State.RUNNING


def mix_keys(plan: plan_task.Plan) -> dict[str, str]:
    """Return the key of the sound in every coding that the output needs."""
    return {coding: _mix_key(plan, coding) for coding in artifacts.needed_codecs(plan.output)}


def find_mix(account_id: uuid.UUID, plan: plan_task.Plan) -> dict[str, Path] | None:
    """Return the stored sound in every coding that the output needs, or None."""
    wanted = mix_keys(plan)
    with transaction() as session:
        rows = session.scalars(
            update(StoredMix)
            .where(StoredMix.account_id == account_id, StoredMix.key.in_(wanted.values()))
            .values(used_at=func.now())
            .returning(StoredMix)
        ).all()
    stored = {row.key: row.storage_key for row in rows}
    try:
        return {coding: storage().locate(stored[key]) for coding, key in wanted.items()}
    except (KeyError, AssetUnreadable):
        return None


def make_mix(
    account_id: uuid.UUID, plan: plan_task.Plan, work: Path, *, stop: Callable[[], bool]
) -> dict[str, Path]:
    """Mix the sound, store it, and return it in every coding that the output needs."""
    made = artifacts.mix_sound(
        plan_task.build_assembly_plan(plan, ()), work=work, stop=stop, ffmpeg=settings().ffmpeg
    )
    return {coding: _store(account_id, _mix_key(plan, coding), path) for coding, path in made.items()}


def _store(account_id: uuid.UUID, key: str, path: Path) -> Path:
    size = path.stat().st_size
    # A name of its own, so that a file under a name never changes.
    storage_key = f"mixes/{account_id}/{key[:2]}/{key}-{uuid.uuid4().hex}{path.suffix}"
    storage().put(path, storage_key)
    facts = {"storage_key": storage_key, "bytes": size}
    with transaction() as session:
        session.execute(
            upsert(StoredMix)
            .values(account_id=account_id, key=key, **facts)
            .on_conflict_do_update(
                index_elements=["account_id", "key"], set_={**facts, "used_at": func.now()}
            )
        )
    return storage().locate(storage_key)


def _mix_key(plan: plan_task.Plan, coding: str) -> str:
    """Return the hash of all that is heard: the tracks with the content of their files, their length, their coding."""
    laid = tracks.plan_tracks(
        plan.script,
        plan.timeline,
        plan.cues,
        {
            scene: Path(said.storage_key) for scene, said in plan.narrated.items()
        },  # it holds the content's hash
        {src: Path(found.media.sha256) for src, found in plan.found.items()},
        {src: found.media for src, found in plan.found.items()},
    )
    deciding: Mapping[str, object] = {
        "tracks": repr(laid),
        "samples": tracks.total_samples(plan.timeline),
        "coding": coding,
        "quality": plan.output.quality,
        "title": plan.script.title,
        "ffmpeg": renderer_versions(settings().ffmpeg)["ffmpeg"],
        "revision": REVISION,
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
