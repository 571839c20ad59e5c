"""Takes the jobs of a batch, a few at a time: read, checked, resolved and written before the next ones are looked at.

What is held of a batch is its bytes and its ids. All of it is one transaction: where a job is wrong and none may be left
out, nothing of it stays.
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
MAX_ERRORS_PER_JOB = 10  # of what is wrong with a job that is left out are told


@dataclass(slots=True)
class BatchErrors:
    """The places of what is wrong: the first MAX_ERRORS, and then one of each further job, so that each bad job is named."""

    # Each once: what jobs share is found again with each few of them.
    places: dict[FieldError, None] = field(default_factory=dict)
    _bad: set[int | None] = field(default_factory=set)

    def add(self, found: FieldError, at: int | None) -> None:
        """Take in what is wrong with a job, or with what all share."""
        if len(self.places) < MAX_ERRORS or at not in self._bad:
            self._bad.add(at)
            self.places[found] = None

    def to_error(self, *, whole: bool = True) -> Invalid:
        """Return the error that tells all of it. It is not `whole` where some of a job was left out before."""
        count = len(self.places)
        if whole and count < MAX_ERRORS:
            return Invalid.listing(self.places)
        rest = f" Listed are the first {MAX_ERRORS}, and one of each further job."
        listed = rest if count >= MAX_ERRORS else ""
        return Invalid(f"{count} or more values are wrong.{listed}", tuple(self.places))


@dataclass(slots=True)
class BatchImport:
    """A batch that is being taken."""

    spec: BatchSpec
    webhook_urls: WebhookUrlChecker
    batch_id: uuid.UUID = field(default_factory=uuid.uuid4)
    ids: list[uuid.UUID] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    errors: BatchErrors = field(default_factory=BatchErrors)
    skipped: dict[int, list[FieldError]] = field(default_factory=dict)

    @classmethod
    def start(cls, spec: BatchSpec) -> BatchImport:
        """Begin, and look at the addresses that all jobs share before a transaction is open."""
        webhook_urls = WebhookUrlChecker(allow_private=config().allow_private_addresses)
        usual = spec.defaults.get("webhook")
        shared = {
            "#/webhook/url": spec.webhook and spec.webhook.url,
            "#/defaults/webhook/url": usual and usual["url"],
        }
        batch_import = cls(spec, webhook_urls)
        batch_import._add_errors(
            [(at, why) for at, url in shared.items() if url and (why := webhook_urls.problem_with(url))]
        )
        if batch_import.errors.places:
            raise batch_import.errors.to_error()
        return batch_import

    def insert(self, session: Session, rows: Sequence[Any], checker: RowChecker) -> None:
        """Write the batch and its jobs down, or raise Invalid with all that is wrong."""
        acceptance.admit_jobs(session, len(rows))
        webhook = {"url": self.spec.webhook.url} if self.spec.webhook else None
        session.add(Batch(id=self.batch_id, account_id=caller().account_id, total=len(rows), webhook=webhook))
        session.flush()
        names = iter(batch_actions.new_job_ids(len(rows)))
        for chunk in numbered_chunks(rows, CHUNK_JOBS):
            good, wrong = offload.run(checker.check, chunk)
            self._add_errors(wrong)
            good = self._resolve(session, good)
            if good and (self.spec.skips or not self.errors.places):
                ids = list(islice(names, len(good)))
                self.ids += acceptance.insert_batch_jobs(
                    session, [spec for _, spec in good], self.batch_id, ids
                )
                self.kinds.update(spec.kind for _, spec in good)
        self._finish(session, len(rows))

    def _finish(self, session: Session, asked: int) -> None:
        if self.errors.places:
            raise self.errors.to_error()
        if not self.ids:
            raise self._all_skipped_error()
        if len(self.ids) < asked:
            session.execute(update(Batch).where(Batch.id == self.batch_id).values(total=len(self.ids)))
        audit.record(session, "jobs.submitted", str(self.batch_id))

    def _all_skipped_error(self) -> Invalid:
        every = BatchErrors()
        for at, places in sorted(self.skipped.items()):
            for each in places:
                every.add(each, at)
        return every.to_error(whole=all(len(places) < MAX_ERRORS_PER_JOB for places in self.skipped.values()))

    def _resolve(self, session: Session, good: list[tuple[int, JobSpec]]) -> list[tuple[int, JobSpec]]:
        """Return the jobs with all that they name; note what is wrong with the others."""
        while good:
            specs, places = [spec for _, spec in good], [job_pointer(at) for at, _ in good]
            wrong = self.webhook_urls.find_problems(specs, places)
            if not wrong:
                try:
                    resolved = resolve_references(session, specs, places)
                except Invalid as error:
                    wrong = list(error.places)
                else:
                    return [(at, spec) for (at, _), spec in zip(good, resolved, strict=True)]
            bad = {job_index(where) for where, _ in wrong}
            self._add_errors(wrong)
            if None in bad:
                return []  # what all share is wrong
            good = [(at, spec) for at, spec in good if at not in bad]
        return []

    def _add_errors(self, wrong: Sequence[FieldError]) -> None:
        for where, why in wrong:
            at = job_index(where)
            if at is None or not self.spec.skips:
                self.errors.add((where, why), at)
                continue
            told = self.skipped.setdefault(at, [])
            if len(told) < MAX_ERRORS_PER_JOB:
                told.append((where, why))
