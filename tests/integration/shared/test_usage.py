"""Usage is recorded and budgets are checked, on a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from shared import usage
from shared.errors import QuotaExceeded
from shared.models import Account, Usage
from shared.settings import Settings
from shared.usage import UsageKind
from tests import factories

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.services

CONFIG = Settings(
    database_url="postgresql://", broker_url="redis://", redis_url="redis://", storage_url="/nowhere",
    price_tokens=2.0, price_images=0.5,
)  # fmt: skip


def test_usage_is_summed_by_month_and_kind(session: Session) -> None:
    job = factories.job(session, attempt=1)
    for amount in (500, 1500):
        usage.record_usage(session, job, UsageKind.TOKENS, amount, CONFIG)
    usage.record_usage(session, job, UsageKind.IMAGES, 1, CONFIG)
    usage.record_usage(session, job, UsageKind.CHARACTERS, 0, CONFIG)
    session.flush()

    rows = usage.monthly_usage(session, job.account_id)

    assert [(kind, amount, cost) for _, kind, amount, cost in rows] == [
        ("images", 1.0, 0.5),
        ("tokens", 2000.0, 4.0),
    ]
    assert rows[0][0].day == 1
    assert usage.job_cost(session, job.id) == 4.5


def test_a_job_s_budget_refuses_what_would_exceed_it(session: Session) -> None:
    job = factories.job(session, spec={"kind": "video", "budget": 3.0})
    usage.record_usage(session, job, UsageKind.TOKENS, 1000, CONFIG)
    session.flush()

    usage.check_budget(session, job, UsageKind.TOKENS, 500, CONFIG)
    with pytest.raises(QuotaExceeded, match="job's budget"):
        usage.check_budget(session, job, UsageKind.TOKENS, 501, CONFIG)


def test_an_account_s_budget_counts_only_this_month(session: Session) -> None:
    job = factories.job(session)
    session.execute(update(Account).where(Account.id == job.account_id).values(budget=1.0))
    usage.record_usage(session, job, UsageKind.IMAGES, 2, CONFIG)
    session.flush()
    with pytest.raises(QuotaExceeded, match="monthly budget"):
        usage.check_budget(session, job, UsageKind.IMAGES, 1, CONFIG)

    session.execute(update(Usage).values(at=datetime.now(UTC) - timedelta(days=32)))

    usage.check_budget(session, job, UsageKind.IMAGES, 2, CONFIG)
    assert usage.month_cost(session, job.account_id) == 0
