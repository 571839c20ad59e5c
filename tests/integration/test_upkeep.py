"""Rounds of throwing away, on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from shared import sweeping
from shared.db import transaction
from shared.models import Job
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
