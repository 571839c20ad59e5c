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

from api.auth import caller
from api.batches import batch_actions
from api.http.request_context import config
from api.jobs import acceptance
from api.jobs.webhook_urls import Hooks
from api.schemas.batch import Checker, chunks, number, place
from api.server import offload
from shared.errors import Invalid
from shared.models import Batch
from shared.script.schema.loading import MAX_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from api.schemas.batch import BatchSpec, Place
    from api.schemas.job import JobSpec

CHUNK = 250  # jobs
FEW = 10  # of what is wrong with a job that is left out are told


@dataclass(slots=True)
class Wrongs:
    """The places of what is wrong: the first MAX_ERRORS, and then one of each further job, so that each bad job is named."""

    # Each once: what jobs share is found again with each few of them.
    places: dict[Place, None] = field(default_factory=dict)
    _bad: set[int | None] = field(default_factory=set)

    def add(self, found: Place, at: int | None) -> None:
        """Take in what is wrong with a job, or with what all share."""
        if len(self.places) < MAX_ERRORS or at not in self._bad:
            self._bad.add(at)
            self.places[found] = None

    def refusal(self, *, whole: bool = True) -> Invalid:
        """Return the error that tells all of it. It is not `whole` where some of a job was left out before."""
        number = len(self.places)
        told = "One value is" if number == 1 else f"{number} values are"
        if number >= MAX_ERRORS or not whole:
            told = f"{number} or more values are"
        listed = (
            f" Listed are the first {MAX_ERRORS}, and one of each further job."
            if number >= MAX_ERRORS
            else ""
        )
        return Invalid(f"{told} wrong.{listed}", tuple(self.places))


@dataclass(slots=True)
class Intake:
    """A batch that is being taken."""

    spec: BatchSpec
    hooks: Hooks
    batch_id: uuid.UUID = field(default_factory=uuid.uuid4)
    ids: list[uuid.UUID] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: Wrongs = field(default_factory=Wrongs)
    skipped: dict[int, list[Place]] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: BatchSpec) -> Intake:
        """Begin, and look at the addresses that all jobs share before a transaction is open."""
        hooks = Hooks(allow_private=config().allow_private_addresses)
        usual = spec.defaults.get("webhook")
        shared = {
            "#/webhook/url": spec.webhook and spec.webhook.url,
            "#/defaults/webhook/url": usual and usual["url"],
        }
        intake = cls(spec, hooks)
        intake._note([(at, why) for at, url in shared.items() if url and (why := hooks.wrong(url))])
        if intake.wrong.places:
            raise intake.wrong.refusal()
        return intake

    def take(self, session: Session, rows: Sequence[Any], checker: Checker) -> None:
        """Write the batch and its jobs down, or raise Invalid with all that is wrong."""
        acceptance.admit(session, len(rows))
        webhook = {"url": self.spec.webhook.url} if self.spec.webhook else None
        session.add(Batch(id=self.batch_id, account_id=caller().account_id, total=len(rows), webhook=webhook))
        session.flush()
        names = iter(batch_actions.new_ids(len(rows)))
        for chunk in chunks(rows, CHUNK):
            good, wrong = offload.run(checker.check, chunk)
            self._note(wrong)
            good = self._settled(session, good)
            if good and (self.spec.skips or not self.wrong.places):
                ids = list(islice(names, len(good)))
                self.ids += acceptance.write(session, [spec for _, spec in good], self.batch_id, ids)
                self.kinds.update(spec.kind for _, spec in good)
        self._close(session, len(rows))

    def _close(self, session: Session, asked: int) -> None:
        if self.wrong.places:
            raise self.wrong.refusal()
        if not self.ids:
            raise self._none_good()
        if len(self.ids) < asked:
            session.execute(update(Batch).where(Batch.id == self.batch_id).values(total=len(self.ids)))
        acceptance.note(session, "jobs.submitted", str(self.batch_id))

    def _none_good(self) -> Invalid:
        every = Wrongs()
        for at, places in sorted(self.skipped.items()):
            for each in places:
                every.add(each, at)
        return every.refusal(whole=all(len(places) < FEW for places in self.skipped.values()))

    def _settled(self, session: Session, good: list[tuple[int, JobSpec]]) -> list[tuple[int, JobSpec]]:
        """Return the jobs with all that they name; note what is wrong with the others."""
        while good:
            specs, places = [spec for _, spec in good], [place(at) for at, _ in good]
            wrong = self.hooks.of(specs, places)
            if not wrong:
                try:
                    resolved = acceptance.resolve(session, specs, places)
                except Invalid as error:
                    wrong = list(error.args[1])
                else:
                    return [(at, spec) for (at, _), spec in zip(good, resolved, strict=True)]
            bad = {number(where) for where, _ in wrong}
            self._note(wrong)
            if None in bad:
                return []  # what all share is wrong
            good = [(at, spec) for at, spec in good if at not in bad]
        return []

    def _note(self, wrong: Sequence[Place]) -> None:
        for where, why in wrong:
            at = number(where)
            if at is None or not self.spec.skips:
                self.wrong.add((where, why), at)
                continue
            told = self.skipped.setdefault(at, [])
            if len(told) < FEW:
                told.append((where, why))
