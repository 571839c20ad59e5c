"""What the API promises about errors."""

from __future__ import annotations

import pytest

from shared import errors
from shared.errors import BadRequest, JobFailed, ServiceError, StorageFull, Unavailable, as_job_error

PROMISED = {
    "asset-unreadable", "llm-unavailable", "llm-invalid-script", "speech-failed", "render-failed", "render-timeout",
    "worker-lost", "quota-exceeded",
}  # fmt: skip


def descendants(base: type[ServiceError]) -> set[type[ServiceError]]:
    return {base}.union(*(descendants(each) for each in base.__subclasses__()))


def test_a_job_fails_only_with_documented_codes() -> None:
    known = {each for each in descendants(ServiceError) if each.__module__ == errors.__name__}

    assert {as_job_error(each("Why.")).code for each in known} == PROMISED == errors.JOB_CODES
    assert {each.code for each in descendants(JobFailed)} <= PROMISED


@pytest.mark.parametrize("error", [Unavailable("Why."), StorageFull("Why."), BadRequest("Why.")], ids=repr)
def test_a_job_s_error_keeps_its_reason(error: ServiceError) -> None:
    assert as_job_error(error).problem()["detail"] == "Why."
