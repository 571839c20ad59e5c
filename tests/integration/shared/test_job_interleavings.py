"""No interleaving of workers, cancellations, retries and sweeps breaks a job's invariants.

A hypothesis state machine plays workers with old and new attempts against the rules on a real Postgres, and checks the
invariants after each step.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.errors import RenderFailed
from shared.lifecycle import cancellation, jobs
from shared.models import Artifact, Delivery, Job, Segment
from shared.states import FINISHED, MOVES, SegmentState, State
from tasks.lifecycle import assembly, recovery, segments
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine

    from shared.models import Base

pytestmark = pytest.mark.services

LEASE, NONE = timedelta(hours=1), timedelta(0)
HOOK = {"url": "https://example.org/", "events": ["task.succeeded", "task.failed", "task.canceled"]}
ATTEMPTS = 3


class Life(RuleBasedStateMachine):
    """One job, and every worker that ever held it or one of its segments."""

    engine: ClassVar[Engine]

    @initialize()
    def begin(self) -> None:
        self.connection = self.engine.connect()
        self.outer = self.connection.begin()
        self.session = Session(
            self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        )
        self.job = factories.job(self.session, max_attempts=ATTEMPTS, spec={"kind": "video", "webhook": HOOK})
        self.workers: list[Job] = []
        self.renderers: list[Segment] = []
        self.state, self.ends, self.retries = State.QUEUED, 0, 0
        self.cancel_promised = False

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            self.outer.rollback()
            self.connection.close()

    # What workers do.

    @rule()
    def a_worker_claims(self) -> None:
        for claimed in (
            factories.claim(self.session, self.job.id, lease=LEASE),
            assembly.claim(self.session, self.job.id, lease=LEASE, worker="w"),
        ):
            if claimed is not None:
                self.session.flush()
                self.session.expunge(claimed)
                self.workers.append(claimed)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_worker_beats(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.workers))
        state = jobs.heartbeat(self.session, self.job.id, held.attempt, lease=LEASE, progress=0.5)
        if held.attempt != max(worker.attempt for worker in self.workers):
            assert state is None  # a stale attempt holds nothing

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
    def a_worker_hands_over(self, data: st.DataObject, keys: list[str]) -> None:
        held = data.draw(st.sampled_from(self.workers))
        if jobs.hand_over_to_segments(self.session, self.job.id, held.attempt, {}):
            planned = [segments.PlannedSegment(key, 30, ("scene-1",), {}) for key in keys]
            segments.replace_segments(self.session, held, planned)
            assembly.begin(self.session, self.job.id)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), outcome=st.sampled_from(["succeed", "fail", "again", "hand back", "stop"]))
    def a_worker_settles(self, data: st.DataObject, outcome: str) -> None:
        held = data.draw(st.sampled_from(self.workers))
        before = self.now()
        state, stale = before.state, before.attempt != held.attempt
        if outcome == "succeed":
            files = [
                {
                    "name": "video.mp4", "position": 0, "storage_key": f"v{held.attempt}", "media_type": "video/mp4",
                    "bytes": 1, "sha256": "0" * 64,
                }
            ]  # fmt: skip
            done = jobs.succeed(self.session, held, {}, files)
            assert not (done and self.cancel_promised)
        elif outcome == "fail":
            jobs.fail(self.session, self.job.id, held.attempt, RenderFailed("No."))
        elif outcome == "stop":
            cancellation.release(self.session, self.job.id, held.attempt)
        else:
            charge = outcome == "again"
            jobs.requeue(self.session, self.job.id, held.attempt, delay=NONE, charge=charge)
        assert not stale or self.now().state == state

    @rule(data=st.data())
    def a_renderer_claims(self, data: st.DataObject) -> None:
        waiting = factories.segments_of(self.session, self.job)
        if not waiting:
            return
        segment = data.draw(st.sampled_from(waiting))
        try:
            with self.session.begin_nested():
                claimed = segments.claim(self.session, segment.id, lease=LEASE)
        except IntegrityError:
            return
        if claimed is not None:
            self.session.expunge(claimed)
            self.renderers.append(claimed)

    @precondition(lambda self: self.renderers)
    @rule(data=st.data(), outcome=st.sampled_from(["finish", "again", "drop", "beat", "fail"]))
    def a_renderer_goes_on(self, data: st.DataObject, outcome: str) -> None:
        segment = data.draw(st.sampled_from(self.renderers))
        if outcome == "finish":
            stored = {"storage_key": f"s/{segment.key}", "bytes": 1}
            segments.finish(self.session, segment, stored=stored)
        elif outcome == "again":
            segments.put_back(self.session, segment, delay=NONE, max_attempts=ATTEMPTS)
        elif outcome == "drop":
            segments.drop(self.session, segment)
            cancellation.finish(self.session, self.job.id)
        elif outcome == "beat":
            segments.heartbeat(self.session, segment, lease=LEASE, frames=3)
        else:
            attempt = self.session.scalars(select(Job.attempt).where(Job.id == self.job.id)).one()
            jobs.fail(self.session, self.job.id, attempt, RenderFailed("No."))
            segments.drop(self.session, segment)

    # What clients and the sweeper do.

    @rule()
    def a_client_cancels(self) -> None:
        before = self.now().state
        answer = cancellation.cancel(self.session, self.job.account_id, self.job.id)
        assert (answer is None) == (before in FINISHED)
        self.cancel_promised |= answer is not None

    @rule()
    def a_client_retries(self) -> None:
        before = self.now().state
        done = jobs.retry(self.session, self.job.account_id, self.job.id, attempts=ATTEMPTS)
        assert done == (before in (State.FAILED, State.CANCELED))
        if done:
            self.state, self.cancel_promised = State.QUEUED, False
            self.retries += 1

    @rule()
    def leases_run_out_and_a_sweeper_comes(self) -> None:
        late = func.now() - timedelta(minutes=1)
        self.session.execute(
            update(Job).where(Job.id == self.job.id, Job.leased_until.is_not(None)).values(leased_until=late)
        )
        self.session.execute(
            update(Segment)
            .where(Segment.job_id == self.job.id, Segment.state == SegmentState.RUNNING)
            .values(leased_until=late)
        )
        recovery.reclaim_jobs(self.session, lambda _: NONE)
        recovery.reclaim_segments(self.session, lambda _: NONE, max_attempts=ATTEMPTS)
        recovery.end_canceled(self.session)

    @rule()
    def another_worker_takes_over(self) -> None:
        """What leads to two workers with one job, which chance alone does too seldom."""
        self.a_worker_claims()
        self.leases_run_out_and_a_sweeper_comes()
        self.see_the_move()
        self.a_worker_claims()

    def see_the_move(self) -> None:
        state = State(self.now().state)
        assert state == self.state or state in _reachable(self.state), (self.state, state)
        self.ends += state in FINISHED and self.state not in FINISHED
        self.state = state

    # What always holds.

    def now(self) -> Job:
        self.session.expire_all()
        return self.session.scalars(select(Job).where(Job.id == self.job.id)).one()

    @invariant()
    def what_always_holds(self) -> None:
        if not hasattr(self, "session"):
            return
        self.see_the_move()
        job, state = self.now(), self.state
        if self.cancel_promised:
            assert state in (State.CANCELING, State.CANCELED)
        assert self.count(Artifact, Artifact.job_id == job.id) == (state == State.SUCCEEDED)
        assert self.count(Delivery, Delivery.subject == str(job.id)) == self.ends
        assert job.attempt <= job.max_attempts
        if state in FINISHED:
            assert job.leased_until is None
            assert job.finished_at is not None

    def count(self, table: type[Base], which: ColumnElement[bool]) -> int:
        return self.session.scalars(select(func.count()).select_from(table).where(which)).one()


def _reachable(state: State) -> set[State]:
    """Where one rule may lead: a rule makes one move, or a claim's or a sweep's two."""
    one = set(MOVES[state]) - ({State.QUEUED} if state in FINISHED else set())
    return one | {then for step in one for then in MOVES[step] if step not in FINISHED}


def test_no_interleaving_breaks_an_invariant(database: Engine) -> None:
    Life.engine = database
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
