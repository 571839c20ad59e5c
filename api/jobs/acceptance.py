"""Accepts jobs: one transaction writes them, their assets, their idempotency key and their audit event, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import g, request

from api import audit, publishing
from api.http import idempotency
from api.http.caller import caller
from api.http.request_context import config, request_id
from api.jobs.admission import Admission
from api.jobs.references import check_webhook_urls, resolve_references
from api.schemas.job import dump_job
from api.server import offload
from shared.db import transaction
from shared.lifecycle import submissions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from api.http.idempotency import StoredResponse
    from api.schemas.job import JobSpec
    from shared.models import Job

_admission = Admission()


def accept_job(spec: JobSpec, content: bytes, respond: Callable[[Job], StoredResponse]) -> StoredResponse:
    """Check, write and publish one job, and return the response that `respond` gives for it.

    `content` is the request's body in canonical form, which its Idempotency-Key is stored with.
    """
    # Before the transaction: waiting for DNS inside it would hold a database connection for seconds.
    check_webhook_urls([spec], ["#"])
    with transaction() as session:
        response = idempotency.run_once(session, content, lambda: respond(_insert_job(session, spec)))
    # After the commit: a worker that is faster would not find the row.
    publishing.publish_accepted(response, {spec.kind: 1})
    return response


def admit_jobs(session: Session, number: int) -> None:
    """Let so many jobs of the caller in, or raise AccountQueueFull, QueueFull or TooLarge."""
    _admission.admit(session, caller().account_id, number, config())


def insert_batch_jobs(
    session: Session, specs: Sequence[JobSpec], batch_id: UUID, ids: Sequence[UUID]
) -> list[UUID]:
    """Write admitted jobs of a batch, with their references resolved, under these ids; return the ids."""
    return submissions.submit(
        session,
        caller().account_id,
        _prepare_submissions(specs, batch_id),
        max_attempts=config().max_attempts,
        request_id=request_id(),
        ids=ids,
    )


def _insert_job(session: Session, spec: JobSpec) -> Job:
    # Admission first: a full queue must refuse before templates and assets cost anything.
    admit_jobs(session, 1)
    (submission,) = _prepare_submissions(resolve_references(session, [spec], ["#"]), None)
    job = submissions.submit_one(
        session,
        caller().account_id,
        submission,
        max_attempts=config().max_attempts,
        request_id=request_id(),
    )
    audit.record(session, "jobs.submitted", str(job.id))
    return job


def _prepare_submissions(specs: Sequence[JobSpec], batch_id: UUID | None) -> list[submissions.Submission]:
    # Dumping the scripts of a large batch takes seconds, in which the worker would serve no other request.
    return offload.run_if_large(
        g.get("body_size", 0), _submissions, specs, batch_id, _artifact_seconds(), _cache_bypass()
    )


def _submissions(
    specs: Sequence[JobSpec],
    batch_id: UUID | None,
    artifact_seconds: int | None,
    cache_bypass: dict[str, Any],
) -> list[submissions.Submission]:
    return [
        submissions.Submission(
            kind=spec.kind,
            spec={**dump_job(spec), **cache_bypass},
            priority=spec.priority,
            custom_id=spec.custom_id,
            metadata=dict(spec.metadata),
            expires_in=spec.expires_in or artifact_seconds,
            link_seconds=spec.links["expires_in"] if spec.links else None,
            batch_id=batch_id,
            template=spec.template,
            asset_ids=tuple(spec.asset_ids),
        )
        for spec in specs
    ]


def _cache_bypass() -> dict[str, Any]:
    """Return what `Cache-Control: no-cache` adds to a job's spec, so that models and providers are asked again."""
    return {"no_cache": True} if request.cache_control.no_cache else {}


def _artifact_seconds() -> int | None:
    keep = config().artifact_retention
    return int(keep.total_seconds()) if keep else None
