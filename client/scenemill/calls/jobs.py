"""Jobs: submitted, or only tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from scenemill.calls.reading import one
from scenemill.core import requests
from scenemill.errors import ApiError
from scenemill.types.jobs import DryRun, Estimate
from scenemill.types.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenemill.core.steps import Flow
    from scenemill.types.jobs import Job

JOBS = "/v1/jobs"
DRY_RUNS = "/v1/dry-runs"
UNPROCESSABLE = 422


def submit(
    job: Job | Mapping[str, Any], *, idempotency_key: str | None = None, fresh: bool = False
) -> Flow[Task]:
    """Submit a job and return its task.

    Submitted twice with one `idempotency_key`, it is one job. With `fresh`, models and providers are asked again for
    what the account has stored of them.
    """
    request = requests.create(JOBS, requests.encoded(job), idempotency_key)
    if fresh:
        request = requests.with_headers(request, {"Cache-Control": "no-cache"})
    return (yield from one(Task, request))


def dry_run(job: Job | Mapping[str, Any]) -> Flow[DryRun]:
    """Return what would come of a job: whether it is valid, every error, its timeline and its cost. Nothing is stored."""
    request = requests.post(DRY_RUNS, cast("Mapping[str, Any]", job))
    return (yield from one(DryRun, requests.safe(request)))


def estimate(job: Job | Mapping[str, Any]) -> Flow[Estimate]:
    """Return what a job would use at most, or raise ApiError with every wrong place."""
    tried = yield from dry_run(job)
    if not tried.valid or tried.estimate is None:
        errors = [dict(one.raw) for one in tried.errors]
        problem = {
            "code": "invalid",
            "title": "Invalid input",
            "detail": "The job is invalid.",
            "errors": errors,
        }
        raise ApiError(UNPROCESSABLE, problem)
    return tried.estimate
