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
from api.http.idempotency import Replayed
from api.http.request_context import config, request_id
from api.jobs import voice_validation
from api.jobs.admission import Room
from api.jobs.template_expansion import filled
from api.jobs.webhook_urls import Hooks
from api.schemas.job import dump_job
from api.schemas.speakers import speakers
from api.server import offload
from shared.dispatch import publishing
from shared.errors import Invalid
from shared.lifecycle import listing, submissions
from shared.metrics import jobs_accepted
from shared.models import Base
from shared.prepared_statements import Prepared
from shared.script.schema.canonical import sources, wanted
from shared.script.schema.loading import load, pointer
from shared.script.schema.script import ScriptSchema
from shared.script.schema.sources import asset_id
from shared.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from api.http.stored_answers import Answer
    from api.schemas.batch import Place
    from api.schemas.job import JobSpec
    from shared.models import Job

# What an asset is called, and what a `src` asks for.
KINDS = {"image": "an image", "video": "a video", "audio": "a sound", "sound": "a sound"}

_room = Room()
_publisher = publishing.Publisher()
_NOTE = Prepared(
    "note_event",
    insert(Base.metadata.tables["audit_events"]).inline(),
    columns=["account_id", "action", "subject", "actor", "request_id"],
)


def take(session: Session, spec: JobSpec) -> Job:
    """Write a job down as queued, and return it. `#` is the pointer to where it stands in the request."""
    admit(session, 1)
    (resolved,) = resolve(session, [spec], ["#"])
    (submission,) = _submitted([resolved], None)
    job = submissions.submit_one(
        session,
        caller().account_id,
        submission,
        max_attempts=config().max_attempts,
        request_id=request_id(),
    )
    note(session, "jobs.submitted", str(job.id))
    return job


def admit(session: Session, more: int) -> None:
    """Let `more` jobs of the caller in, or raise what there is no room in."""
    _room.admit(session, caller().account_id, more, config())


def write(
    session: Session, specs: Sequence[JobSpec], batch_id: uuid.UUID, ids: Sequence[uuid.UUID]
) -> list[uuid.UUID]:
    """Write jobs of a batch down that were resolved and let in, under these ids, and return them."""
    return submissions.submit(
        session,
        caller().account_id,
        _submitted(specs, batch_id),
        max_attempts=config().max_attempts,
        request_id=request_id(),
        ids=ids,
    )


def resolve(session: Session, specs: Sequence[JobSpec], places: Sequence[str]) -> list[JobSpec]:
    """Return the jobs with the scripts that they name, and their assets held; or raise Invalid for what is not there."""
    account_id = caller().account_id
    resolved = filled(session, account_id, _with_scripts(session, account_id, specs, places), places)
    speakers = (each for spec in resolved for each in spec.speakers)
    wrong = [*_hold_assets(session, account_id, resolved), *voice_validation.wrong(speakers, config())]
    if wrong:
        raise Invalid(
            f"{_number(wrong)} something is named that does not exist or does not fit.", tuple(wrong)
        )
    return resolved


def announce(answer: Answer, kinds: Mapping[str, int]) -> None:
    """Have workers look at so many jobs of these kinds, if the answer is not one that was given before."""
    if isinstance(answer, Replayed):
        return
    for kind, number in kinds.items():
        jobs_accepted.labels(kind).inc(number)
    nudge()


def check_hooks(specs: Sequence[JobSpec], places: Sequence[str]) -> None:
    """Raise Invalid for webhooks that lead to where we do not send. No transaction should be open meanwhile."""
    if not any(spec.webhook for spec in specs):
        return
    wrong = Hooks(allow_private=config().allow_private_addresses).of(specs, places)
    if wrong:
        raise Invalid(f"{_number(wrong)} an address cannot be told.", tuple(wrong))


def nudge(account_id: uuid.UUID | None = None) -> None:
    """Publish an account's committed jobs beside the requests: it returns at once, and the sweeper finds what gets lost."""
    _publisher.push(account_id or caller().account_id)


def note(session: Session, action: str, subject: str) -> None:
    """Write down who did what."""
    who = caller()
    session.execute(
        _NOTE.on(session),
        {
            "account_id": who.account_id,
            "action": action,
            "subject": subject,
            "actor": who.actor,
            "request_id": request_id(),
        },
    )


def _submitted(specs: Sequence[JobSpec], batch_id: uuid.UUID | None) -> list[submissions.Submission]:
    size = g.get("body_size", 0)
    return offload.compute(size, _submissions, specs, batch_id, _keep_seconds(), _asked_again())


def _asked_again() -> dict[str, Any]:
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


def _keep_seconds() -> int | None:
    keep = config().keep_artifacts
    return int(keep.total_seconds()) if keep else None


def _hold_assets(session: Session, account_id: uuid.UUID, specs: Sequence[JobSpec]) -> list[Place]:
    """Keep the assets that the jobs name until the transaction's end, and return where one is named that is none."""
    named = [
        (where, uuid.UUID(name), kind)
        for spec in specs
        if spec.script
        for (where, src), kind in zip(spec.sources, wanted(spec.script), strict=True)
        if (name := asset_id(src))
    ]
    held = listing.hold_assets(session, account_id, {each for _, each, _ in named}) if named else {}
    wrong = ((where, why) for where, each, kind in named if (why := _unfit(held.get(each), kind)))
    return list(dict.fromkeys(wrong))


def _unfit(facts: Mapping[str, Any] | None, kind: str) -> str | None:
    """Return why an asset cannot be what it is named for, or None where it can."""
    if facts is None:
        return "There is no such asset."
    found = facts.get("kind", "")
    fits = found == kind or (kind == "sound" and (found == "audio" or facts.get("has_audio")))
    return None if fits else f"Must be {KINDS[kind]}, and the asset is {KINDS.get(found, 'none')}."


def _with_scripts(
    session: Session, account_id: uuid.UUID, specs: Sequence[JobSpec], places: Sequence[str]
) -> list[JobSpec]:
    """Put the script of a finished script task in the place of its id."""
    ids = [uuid.UUID(spec.script_task_id) for spec in specs if spec.script_task_id]
    if not ids:
        return list(specs)
    found = {job.id: job.result for job in listing.jobs_by_id(session, account_id, ids) if _is_script(job)}
    wrong = [
        (pointer(place, "script_task_id"), "Is not a succeeded script task.")
        for spec, place in zip(specs, places, strict=True)
        if spec.script_task_id and uuid.UUID(spec.script_task_id) not in found
    ]
    if wrong:
        raise Invalid(f"{_number(wrong)} a task is named that gave no script.", tuple(wrong))
    return [_scripted(spec, place, found) for spec, place in zip(specs, places, strict=True)]


def _scripted(spec: JobSpec, place: str, found: dict[uuid.UUID, Any]) -> JobSpec:
    if not spec.script_task_id:
        return spec
    at = pointer(place, "script_task_id")
    document = found[uuid.UUID(spec.script_task_id)]["script"]
    script = load(ScriptSchema(), document, at)
    return replace(
        spec,
        script=script,
        script_task_id=None,
        sources=tuple((at, src) for _, src in sources(script, document)),
        speakers=tuple(each._replace(where=at) for each in speakers(script, document)),
    )


def _is_script(job: Any) -> bool:
    return job.kind == "script" and job.state == State.SUCCEEDED and bool(job.result)


def _number(places: Sequence[Any]) -> str:
    return "In one place" if len(places) == 1 else f"In {len(places)} places"
