"""Imports a batch in chunks: parses, checks, resolves and inserts a few hundred jobs before it reads the next ones.

Only the body's bytes and the ids of its jobs stay in memory. The whole batch is one transaction: with on_invalid=reject an
invalid job rolls everything back.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from api import audit
from api.batches import batch_actions
from api.batches.row_checking import job_index, job_pointer, numbered_chunks
from api.http.caller import caller
from api.http.request_context import config
from api.jobs import acceptance
from api.jobs.references import resolve_references
from api.jobs.webhook_urls import WebhookUrlChecker
from api.server import offload
from shared.errors import Invalid
from shared.models import Batch
from shared.script.schema.loading import MAX_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from api.batches.row_checking import RowChecker
    from api.schemas.batch import BatchSpec
    from api.schemas.job import FieldError, JobSpec

CHUNK_JOBS = 250  # jobs
MAX_ERRORS_PER_JOB = 10  # errors that are reported of a skipped job


@dataclass(slots=True)
class BatchErrors:
    """The errors of a batch: the first MAX_ERRORS, then one of each further job, so that every invalid job is named."""

    # A dict, to keep each once: errors in what jobs share are found again in every chunk.
    places: dict[FieldError, None] = field(default_factory=dict)
    _invalid_jobs: set[int | None] = field(default_factory=set)

    def add(self, error: FieldError, at: int | None) -> None:
        """Add an error of the job at this index, or of what all jobs share."""
        if len(self.places) < MAX_ERRORS or at not in self._invalid_jobs:
            self._invalid_jobs.add(at)
            self.places[error] = None

    def to_error(self, *, whole: bool = True) -> Invalid:
        """Return the error that lists all of them. Pass `whole=False` where some errors of a job were dropped before."""
        count = len(self.places)
        if whole and count < MAX_ERRORS:
            return Invalid.listing(self.places)
        rest = f" Listed are the first {MAX_ERRORS}, and one of each further job."
        listed = rest if count >= MAX_ERRORS else ""
        return Invalid(f"{count} or more values are wrong.{listed}", tuple(self.places))


@dataclass(slots=True)
class BatchImport:
    """The import of one batch."""

    spec: BatchSpec
    webhook_urls: WebhookUrlChecker
    batch_id: uuid.UUID = field(default_factory=uuid.uuid4)
    ids: list[uuid.UUID] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    errors: BatchErrors = field(default_factory=BatchErrors)
    skipped: dict[int, list[FieldError]] = field(default_factory=dict)

    @classmethod
    def start(cls, spec: BatchSpec) -> BatchImport:
        """Start an import, and check the webhook URLs that all jobs share. Call it outside of transactions."""
        webhook_urls = WebhookUrlChecker(allow_private=config().allow_private_addresses)
        defaults_webhook = spec.defaults.get("webhook")
        shared = {
            "#/webhook/url": spec.webhook and spec.webhook.url,
            "#/defaults/webhook/url": defaults_webhook and defaults_webhook["url"],
        }
        batch_import = cls(spec, webhook_urls)
        batch_import._add_errors(
            [
                (at, problem)
                for at, url in shared.items()
                if url and (problem := webhook_urls.problem_with(url))
            ]
        )
        if batch_import.errors.places:
            raise batch_import.errors.to_error()
        return batch_import

    def insert(self, session: Session, rows: Sequence[Any], checker: RowChecker) -> None:
        """Insert the batch and its jobs, or raise Invalid with all errors."""
        acceptance.admit_jobs(session, len(rows))
        webhook = {"url": self.spec.webhook.url} if self.spec.webhook else None
        session.add(Batch(id=self.batch_id, account_id=caller().account_id, total=len(rows), webhook=webhook))
        # The batch's row must exist before its jobs, whose foreign key names it.
        session.flush()
        ids = iter(batch_actions.new_job_ids(len(rows)))
        for chunk in numbered_chunks(rows, CHUNK_JOBS):
            # In a thread: checking a chunk takes tens of milliseconds of CPU.
            valid, errors = offload.run(checker.check, chunk)
            self._add_errors(errors)
            valid = self._resolve(session, valid)
            if valid and (self.spec.skips or not self.errors.places):
                chunk_ids = list(islice(ids, len(valid)))
                self.ids += acceptance.insert_batch_jobs(
                    session, [spec for _, spec in valid], self.batch_id, chunk_ids
                )
                self.kinds.update(spec.kind for _, spec in valid)
        self._finish(session, len(rows))

    def _finish(self, session: Session, row_count: int) -> None:
        if self.errors.places:
            raise self.errors.to_error()
        if not self.ids:
            raise self._all_skipped_error()
        # Skipped jobs never end, and a batch whose total counts them would never finish.
        if len(self.ids) < row_count:
            session.execute(update(Batch).where(Batch.id == self.batch_id).values(total=len(self.ids)))
        audit.record(session, "jobs.submitted", str(self.batch_id))

    def _all_skipped_error(self) -> Invalid:
        errors = BatchErrors()
        for at, places in sorted(self.skipped.items()):
            for place in places:
                errors.add(place, at)
        return errors.to_error(
            whole=all(len(places) < MAX_ERRORS_PER_JOB for places in self.skipped.values())
        )

    def _resolve(self, session: Session, valid: list[tuple[int, JobSpec]]) -> list[tuple[int, JobSpec]]:
        """Return the valid jobs with their references resolved, and add the errors of the others."""
        # Again without the invalid jobs, until all that remain resolve: one bad job must not hide the others.
        while valid:
            specs, places = [spec for _, spec in valid], [job_pointer(at) for at, _ in valid]
            errors = self.webhook_urls.find_problems(specs, places)
            if not errors:
                try:
                    resolved = resolve_references(session, specs, places)
                except Invalid as error:
                    errors = list(error.places)
                else:
                    return [(at, spec) for (at, _), spec in zip(valid, resolved, strict=True)]
            invalid = {job_index(where) for where, _ in errors}
            self._add_errors(errors)
            if None in invalid:
                return []  # what all jobs share is wrong
            valid = [(at, spec) for at, spec in valid if at not in invalid]
        return []

    def _add_errors(self, errors: Sequence[FieldError]) -> None:
        for pointer, detail in errors:
            at = job_index(pointer)
            if at is None or not self.spec.skips:
                self.errors.add((pointer, detail), at)
                continue
            job_errors = self.skipped.setdefault(at, [])
            if len(job_errors) < MAX_ERRORS_PER_JOB:
                job_errors.append((pointer, detail))
