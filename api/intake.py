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

from api import accept, aside
from api.auth import caller
from api.hooks import Hooks
from api.requests import config
from shared import batches
from shared.errors import Invalid
from shared.models import Batch
from shared.schemas.batch import Checker, chunks, number, place
from shared.schemas.loading import MAX_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from shared.schemas.batch import BatchSpec, Place
    from shared.schemas.job import JobSpec

CHUNK = 250  # jobs
FEW = 10  # of what is wrong with a job that is left out are told


@dataclass(slots=True)
class Intake:
    """A batch that is being taken."""

    spec: BatchSpec
    hooks: Hooks
    batch_id: uuid.UUID = field(default_factory=uuid.uuid4)
    ids: list[uuid.UUID] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[Place] = field(default_factory=list)
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
        wrong = tuple((at, why) for at, url in shared.items() if url and (why := hooks.wrong(url)))
        if wrong:
            raise _refusal(wrong)
        return cls(spec, hooks)

    def take(self, session: Session, rows: Sequence[Any], checker: Checker) -> None:
        """Write the batch and its jobs down, or raise Invalid with all that is wrong."""
        accept.admit(session, len(rows))
        webhook = {"url": self.spec.webhook.url} if self.spec.webhook else None
        session.add(Batch(id=self.batch_id, account_id=caller().account_id, total=len(rows), webhook=webhook))
        session.flush()
        names = iter(batches.new_ids(len(rows)))
        for chunk in chunks(rows, CHUNK):
            good, wrong = aside.run(checker.check, chunk)
            self._note(wrong)
            good = self._settled(session, good)
            if good and (self.spec.skips or not self.wrong):
                ids = list(islice(names, len(good)))
                self.ids += accept.write(session, [spec for _, spec in good], self.batch_id, ids)
                self.kinds.update(spec.kind for _, spec in good)
            if len(self.wrong) >= MAX_ERRORS:
                break
        self._close(session, len(rows))

    def _close(self, session: Session, asked: int) -> None:
        if self.wrong or not self.ids:
            every = self.wrong or [each for places in self.skipped.values() for each in places]
            raise _refusal(tuple(every))
        if len(self.ids) < asked:
            session.execute(update(Batch).where(Batch.id == self.batch_id).values(total=len(self.ids)))
        accept.note(session, "jobs.submitted", str(self.batch_id))

    def _settled(self, session: Session, good: list[tuple[int, JobSpec]]) -> list[tuple[int, JobSpec]]:
        """Return the jobs with all that they name; note what is wrong with the others."""
        while good:
            specs, places = [spec for _, spec in good], [place(at) for at, _ in good]
            wrong = self.hooks.of(specs, places)
            if not wrong:
                try:
                    resolved = accept.resolve(session, specs, places)
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
                if (where, why) not in self.wrong[-MAX_ERRORS:] or at is not None:
                    self.wrong.append((where, why))
                continue
            told = self.skipped.setdefault(at, [])
            if len(told) < FEW:
                told.append((where, why))


def _refusal(places: tuple[Place, ...]) -> Invalid:
    if len(places) >= MAX_ERRORS:  # where so many are wrong, no more are looked for
        return Invalid(f"{MAX_ERRORS} or more values are wrong. So many are listed.", places[:MAX_ERRORS])
    told = "One value is" if len(places) == 1 else f"{len(places)} values are"
    return Invalid(f"{told} wrong.", places)
