"""Rounds of repair and of throwing away, on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, update

from shared import segments, sweeping
from shared.db import transaction
from shared.models import Job, Segment
from shared.states import SegmentState, State
from tasks import upkeep
from tests import factories

if TYPE_CHECKING:
    from shared.settings import Settings

pytestmark = pytest.mark.services


def test_one_round_takes_all_that_a_long_canceled_video_left_queued(process: Settings) -> None:
    with transaction() as session:
        job = factories.rendering_job(session, tuple(map(str, range(sweeping.BITE * 2 + 1))))
        session.execute(update(Job).where(Job.id == job.id).values(state=State.CANCELED))

    upkeep.tidy()

    with transaction() as session:
        assert {each.state for each in factories.segments_of(session, job)} == {SegmentState.DROPPED}


@pytest.mark.parametrize(("attempt", "published"), [(1, True), (2, False)], ids=["first", "second"])
def test_what_its_worker_lost_is_told_of_in_the_same_round_and_later_when_lost_again(
    process: Settings, attempt: int, published: bool
) -> None:
    with transaction() as session:
        job, rendering = factories.job(session, attempt=attempt - 1), factories.rendering_job(session)
        assert factories.claim(session, job.id, lease=-process.lease) is not None
        (part,) = factories.segments_of(session, rendering)
        part.attempt = attempt - 1
        session.flush()
        assert segments.claim(session, part.id, lease=-process.lease) is not None

    upkeep.sweep()

    with transaction() as session:
        for table, lost in ((Job, job.id), (Segment, part.id)):
            due = table.run_after <= func.now()
            told = select(table.state, table.published_at.is_not(None), due).where(table.id == lost)
            assert session.execute(told).one() == (State.QUEUED, published, published)
        session.execute(delete(Job).where(Job.id.in_((job.id, rendering.id))))
