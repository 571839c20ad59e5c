"""Takes jobs: one transaction writes them, their assets, their idempotency key and their audit event, or nothing.

What the database must be asked for before a job can be taken is asked here: whether there is room, whether its
assets are there, which script it means.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import g, request
from sqlalchemy import insert

from api.auth import caller
from api.http.idempotency import ReplayedResponse
from api.http.request_context import config, request_id
from api.jobs import voice_validation
from api.jobs.admission import Admission
from api.jobs.template_filling import fill_templates
from api.jobs.webhook_urls import WebhookUrlChecker
from api.schemas.job import dump_job
from api.schemas.speakers import speakers
from api.server import offload
from shared.dispatch import publishing
from shared.errors import Invalid
from shared.lifecycle import listing, submissions
from shared.metrics import jobs_accepted
from shared.models import Base
from shared.prepared_statements import PreparedStatement
from shared.script.schema.canonical import list_sources, source_kinds
from shared.script.schema.loading import json_pointer, load
from shared.script.schema.script import ScriptSchema
from shared.script.schema.sources import asset_id
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from api.http.stored_responses import StoredResponse
    from api.schemas.batch import FieldError
    from api.schemas.job import JobSpec
    from shared.models import Job

# What an asset is called, and what a `src` asks for.
ASSET_KIND_NAMES = {"image": "an image", "video": "a video", "audio": "a sound", "sound": "a sound"}

_admission = Admission()
_INSERT_AUDIT_EVENT = PreparedStatement(
    "note_event",
    insert(Base.metadata.tables["audit_events"]).inline(),
    columns=["account_id", "action", "subject", "actor", "request_id"],
)


def accept_job(session: Session, spec: JobSpec) -> Job:
    """Write a job down as queued, and return it. `#` is the pointer to where it stands in the request."""
    admit_jobs(session, 1)
    (resolved,) = resolve_references(session, [spec], ["#"])
    (submission,) = _prepare_submissions([resolved], None)
    job = submissions.submit_one(
        session,
        caller().account_id,
        submission,
        max_attempts=config().max_attempts,
        request_id=request_id(),
    )
    record_audit_event(session, "jobs.submitted", str(job.id))
    return job


def admit_jobs(session: Session, more: int) -> None:
    """Let `more` jobs of the caller in, or raise what there is no room in."""
    _admission.admit(session, caller().account_id, more, config())


def insert_batch_jobs(
    session: Session, specs: Sequence[JobSpec], batch_id: uuid.UUID, ids: Sequence[uuid.UUID]
) -> list[uuid.UUID]:
    """Write jobs of a batch down that were resolved and let in, under these ids, and return them."""
    return submissions.submit(
        session,
        caller().account_id,
        _prepare_submissions(specs, batch_id),
        max_attempts=config().max_attempts,
        request_id=request_id(),
        ids=ids,
    )


def resolve_references(session: Session, specs: Sequence[JobSpec], places: Sequence[str]) -> list[JobSpec]:
    """Return the jobs with the scripts that they name, and their assets held; or raise Invalid for what is not there."""
    account_id = caller().account_id
    resolved = fill_templates(
        session, account_id, _resolve_script_tasks(session, account_id, specs, places), places
    )
    speakers = (each for spec in resolved for each in spec.speakers)
    wrong = [
        *_lock_assets(session, account_id, resolved),
        *voice_validation.find_unknown_voices(speakers, config()),
    ]
    if wrong:
        raise Invalid(
            f"{_count_places(wrong)} something is named that does not exist or does not fit.", tuple(wrong)
        )
    return resolved


def publish_accepted(answer: StoredResponse, kinds: Mapping[str, int]) -> None:
    """Have workers look at so many jobs of these kinds, if the answer is not one that was given before."""
    if isinstance(answer, ReplayedResponse):
        return
    for kind, number in kinds.items():
        jobs_accepted.labels(kind).inc(number)
    publish_queued()


def check_webhook_urls(specs: Sequence[JobSpec], places: Sequence[str]) -> None:
    """Raise Invalid for webhooks that lead to where we do not send. No transaction should be open meanwhile."""
    if not any(spec.webhook for spec in specs):
        return
    wrong = WebhookUrlChecker(allow_private=config().allow_private_addresses).find_problems(specs, places)
    if wrong:
        raise Invalid(f"{_count_places(wrong)} an address cannot be told.", tuple(wrong))


def publish_queued(account_id: uuid.UUID | None = None) -> None:
    """Publish an account's committed jobs beside the requests: it returns at once, and the sweeper finds what gets lost."""
    publishing.publish_soon(account_id or caller().account_id)


def record_audit_event(session: Session, action: str, subject: str) -> None:
    """Write down who did what."""
    who = caller()
    session.execute(
        _INSERT_AUDIT_EVENT.prepare(session),
        {
            "account_id": who.account_id,
            "action": action,
            "subject": subject,
            "actor": who.actor,
            "request_id": request_id(),
        },
    )


def _prepare_submissions(
    specs: Sequence[JobSpec], batch_id: uuid.UUID | None
) -> list[submissions.Submission]:
    size = g.get("body_size", 0)
    return offload.run_if_large(size, _submissions, specs, batch_id, _artifact_seconds(), _cache_bypass())


def _cache_bypass() -> dict[str, Any]:
    """Return what the jobs' specs say of `Cache-Control: no-cache`: models and providers are to be asked again."""
    return {"no_cache": True} if request.cache_control.no_cache else {}


def _submissions(
    specs: Sequence[JobSpec], batch_id: uuid.UUID | None, keep: int | None, asked: dict[str, Any]
) -> list[submissions.Submission]:
    return [
        submissions.Submission(
            kind=spec.kind,
            spec={**dump_job(spec), **asked},
            priority=spec.priority,
            custom_id=spec.custom_id,
            metadata=dict(spec.metadata),
            expires_in=spec.expires_in or keep,
            batch_id=batch_id,
            template=spec.template,
            asset_ids=tuple({uuid.UUID(name) for _, src in spec.sources if (name := asset_id(src))}),
        )
        for spec in specs
    ]


def _artifact_seconds() -> int | None:
    keep = config().artifact_retention
    return int(keep.total_seconds()) if keep else None


def _lock_assets(session: Session, account_id: uuid.UUID, specs: Sequence[JobSpec]) -> list[FieldError]:
    """Keep the assets that the jobs name until the transaction's end, and return where one is named that is none."""
    named = [
        (where, uuid.UUID(name), kind)
        for spec in specs
        if spec.script
        for (where, src), kind in zip(spec.sources, source_kinds(spec.script), strict=True)
        if (name := asset_id(src))
    ]
    held = listing.lock_assets(session, account_id, {each for _, each, _ in named}) if named else {}
    wrong = ((where, why) for where, each, kind in named if (why := _asset_mismatch(held.get(each), kind)))
    return list(dict.fromkeys(wrong))


def _asset_mismatch(facts: Mapping[str, Any] | None, kind: str) -> str | None:
    """Return why an asset cannot be what it is named for, or None where it can."""
    if facts is None:
        return "There is no such asset."
    found = facts.get("kind", "")
    fits = found == kind or (kind == "sound" and (found == "audio" or facts.get("has_audio")))
    return (
        None
        if fits
        else f"Must be {ASSET_KIND_NAMES[kind]}, and the asset is {ASSET_KIND_NAMES.get(found, 'none')}."
    )


def _resolve_script_tasks(
    session: Session, account_id: uuid.UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Put the script of a finished script task in the place of its id."""
    ids = [uuid.UUID(spec.script_task_id) for spec in specs if spec.script_task_id]
    if not ids:
        return list(specs)
    found = {job.id: job.result for job in listing.find_jobs(session, account_id, ids) if _is_script(job)}
    wrong = [
        (json_pointer(place, "script_task_id"), "Is not a succeeded script task.")
        for spec, place in zip(specs, places, strict=True)
        if spec.script_task_id and uuid.UUID(spec.script_task_id) not in found
    ]
    if wrong:
        raise Invalid(f"{_count_places(wrong)} a task is named that gave no script.", tuple(wrong))
    return [_with_task_script(spec, place, found) for spec, place in zip(specs, places, strict=True)]


def _with_task_script(spec: JobSpec, place: str, found: dict[uuid.UUID, Any]) -> JobSpec:
    if not spec.script_task_id:
        return spec
    at = json_pointer(place, "script_task_id")
    document = found[uuid.UUID(spec.script_task_id)]["script"]
    script = load(ScriptSchema(), document, at)
    return replace(
        spec,
        script=script,
        script_task_id=None,
        sources=tuple((at, src) for _, src in list_sources(script, document)),
        speakers=tuple(each._replace(where=at) for each in speakers(script, document)),
    )


def _is_script(job: Any) -> bool:
    return job.kind == "script" and job.state == State.SUCCEEDED and bool(job.result)


def _count_places(places: Sequence[Any]) -> str:
    return "In one place" if len(places) == 1 else f"In {len(places)} places"
