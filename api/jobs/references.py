"""Resolves what jobs refer to: templates, script tasks, uploaded assets, voices and webhook URLs."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from api.http.caller import caller
from api.http.request_context import config
from api.jobs import voice_validation
from api.jobs.template_filling import fill_templates
from api.jobs.webhook_urls import WebhookUrlChecker
from api.schemas.speakers import speakers
from shared.errors import Invalid
from shared.lifecycle import listing
from shared.script.schema.canonical import list_sources
from shared.script.schema.loading import json_pointer, load
from shared.script.schema.script import ScriptSchema
from shared.script.schema.sources import asset_id
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from api.schemas.job import FieldError, JobSpec
    from shared.models import Job

# The words for the kind of an asset, and for the kind that a `src` needs.
_ASSET_KINDS = {"image": "an image", "video": "a video", "audio": "a sound", "sound": "a sound"}


def resolve_references(session: Session, specs: Sequence[JobSpec], places: Sequence[str]) -> list[JobSpec]:
    """Return the jobs with the scripts that they refer to, and lock their assets; raise Invalid for what does not exist.

    `places` are the pointers to the jobs in the request.
    """
    account_id = caller().account_id
    scripted = _resolve_script_tasks(session, account_id, specs, places)
    resolved = fill_templates(session, account_id, scripted, places)
    errors = [
        *_lock_assets(session, account_id, resolved),
        *voice_validation.find_unknown_voices(
            (speaker for spec in resolved for speaker in spec.speakers), config()
        ),
    ]
    if errors:
        raise Invalid.listing(
            errors,
            "reference is missing or has the wrong type",
            "references are missing or have the wrong type",
        )
    return resolved


def check_webhook_urls(specs: Sequence[JobSpec], places: Sequence[str]) -> None:
    """Raise Invalid for webhook URLs that are not allowed. Call it outside of transactions, since it waits for DNS."""
    if not any(spec.webhook for spec in specs):
        return
    checker = WebhookUrlChecker(allow_private=config().allow_private_addresses)
    if errors := checker.find_problems(specs, places):
        raise Invalid.listing(errors, "webhook URL is not allowed", "webhook URLs are not allowed")


def _lock_assets(session: Session, account_id: uuid.UUID, specs: Iterable[JobSpec]) -> list[FieldError]:
    """Lock the assets that the jobs name against deletion until the commit; return the errors of unknown or unfit ones."""
    named = [
        (source, uuid.UUID(name))
        for spec in specs
        for source in spec.sources
        if (name := asset_id(source.src))
    ]
    # Locked until the commit: an asset deleted meanwhile would leave the job without its file.
    locked = listing.lock_assets(session, account_id, {asset for _, asset in named}) if named else {}
    errors = (
        (source.pointer, mismatch)
        for source, asset in named
        if (mismatch := _asset_mismatch(locked.get(asset), source.kind))
    )
    return list(dict.fromkeys(errors))


def _asset_mismatch(facts: Mapping[str, Any] | None, kind: str) -> str | None:
    """Return why an asset does not fit where it is named, or None where it does."""
    if facts is None:
        return "This account has no such asset. GET /v1/assets lists its assets."
    actual = facts.get("kind", "")
    fits = actual == kind or (kind == "sound" and (actual == "audio" or facts.get("has_audio")))
    return (
        None
        if fits
        else f"Must be {_ASSET_KINDS[kind]}, and the asset is {_ASSET_KINDS.get(actual, 'none')}."
    )


def _resolve_script_tasks(
    session: Session, account_id: uuid.UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Replace the ids of script tasks by the scripts that these have written."""
    ids = [uuid.UUID(spec.script_task_id) for spec in specs if spec.script_task_id]
    if not ids:
        return list(specs)
    results = {job.id: job.result for job in listing.find_jobs(session, account_id, ids) if _has_script(job)}
    errors = [
        (json_pointer(place, "script_task_id"), "Must be the id of a succeeded script task of this account.")
        for spec, place in zip(specs, places, strict=True)
        if spec.script_task_id and uuid.UUID(spec.script_task_id) not in results
    ]
    if errors:
        raise Invalid.listing(
            errors,
            "script_task_id names no succeeded script task",
            "script_task_ids name no succeeded script task",
        )
    return [_with_task_script(spec, place, results) for spec, place in zip(specs, places, strict=True)]


def _with_task_script(spec: JobSpec, place: str, results: Mapping[uuid.UUID, Any]) -> JobSpec:
    if not spec.script_task_id:
        return spec
    at = json_pointer(place, "script_task_id")
    document = results[uuid.UUID(spec.script_task_id)]["script"]
    # Loaded again: the task may have been written by a release whose scripts this one refuses.
    script = load(ScriptSchema(), document, at)
    return replace(
        spec,
        script=script,
        script_task_id=None,
        sources=tuple(source._replace(pointer=at) for source in list_sources(script, document)),
        speakers=tuple(speaker._replace(pointer=at) for speaker in speakers(script, document)),
    )


def _has_script(job: Job) -> bool:
    return job.kind == "script" and job.state == State.SUCCEEDED and bool(job.result)
