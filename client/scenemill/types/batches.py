"""Batches: many jobs in one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Required, TypeAlias, TypedDict

from scenemill.types.jobs import Job, JobDefaults
from scenemill.types.problems import WrongPlace
from scenemill.types.value import Value

OnInvalid: TypeAlias = Literal["reject", "skip"]


class BatchWebhook(TypedDict, total=False):
    """Where to announce that the last task of a batch has ended."""

    url: Required[str]
    events: list[Literal["batch.finished"]]


class BatchRequest(TypedDict, total=False):
    """A batch as JSON: all jobs are accepted, or none; with `skip`, those that are valid."""

    jobs: Required[list[Job]]
    defaults: JobDefaults
    on_invalid: OnInvalid
    webhook: BatchWebhook


@dataclass(frozen=True)
class SkippedJob(Value):
    """A job that was left out: its place in the batch, counted from 0, and why."""

    index: int
    errors: tuple[WrongPlace, ...] = ()


@dataclass(frozen=True)
class AcceptedBatch(Value):
    """The answer to a new batch: the ids of its tasks, in the order of the jobs, and what was left out."""

    batch_id: str
    counts: Mapping[str, int] = field(default_factory=dict)
    task_ids: tuple[str, ...] = ()
    skipped: tuple[SkippedJob, ...] = ()

    @property
    def id(self) -> str:
        """Return the batch's id."""
        return self.batch_id


@dataclass(frozen=True)
class Batch(Value):
    """How far a batch is. `counts` says how many tasks have which status."""

    batch_id: str
    status: Literal["running", "finished"]
    progress: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    created_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def id(self) -> str:
        """Return the batch's id."""
        return self.batch_id

    @property
    def finished(self) -> bool:
        """Tell whether every task of it has ended."""
        return self.status == "finished"
