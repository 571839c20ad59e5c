"""Route of /v1/usage: what the account has used and paid by month, what it stores, and its quotas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from api.http.caller import account_id
from api.http.query_params import UsageQuery
from api.http.request_context import config
from api.openapi.resource import Resource
from shared import usage
from shared.db import transaction
from shared.usage import UsageKind

if TYPE_CHECKING:
    from collections.abc import Sequence

blueprint = Resource("usage", "Usage, cost and quotas of the account.")
_AMOUNT = {"description": "Tokens, spoken characters, images or seconds."}


class SpentSchema(Schema):
    """An amount of one resource."""

    amount = fields.Float(metadata=_AMOUNT)
    cost = fields.Float(metadata={"description": "By the prices at the time of use."})


class MonthSchema(Schema):
    """The usage of a calendar month, in UTC."""

    month = fields.String(metadata={"description": "The month, such as 2026-01."})
    cost = fields.Float()
    used = fields.Dict(
        keys=fields.String(metadata={"enum": [str(kind) for kind in UsageKind]}),
        values=fields.Nested(SpentSchema),
    )


class StoredSchema(Schema):
    """Bytes in storage."""

    bytes = fields.Integer(metadata={"description": "The sum."})
    assets = fields.Integer()
    artifacts = fields.Integer()
    cache = fields.Integer(
        metadata={"description": "Rendered segments and speech, deleted when space is needed."}
    )


class QuotasSchema(Schema):
    """The account's quotas."""

    budget = fields.Float(
        allow_none=True,
        metadata={"description": "The most that a month may cost; null for no limit."},
    )
    budget_left = fields.Float(allow_none=True)
    asset_bytes = fields.Integer(metadata={"description": "The largest asset in bytes."})
    unfinished_uploads = fields.Integer(metadata={"description": "The most unfinished resumable uploads."})
    body_bytes = fields.Integer(metadata={"description": "The largest JSON body in bytes."})
    batch_jobs = fields.Integer(metadata={"description": "The most jobs of a batch."})
    running_jobs = fields.Integer(metadata={"description": "The most jobs that run at once; others wait."})


class UsageReportSchema(Schema):
    """Usage by month, newest first, with storage and quotas."""

    months = fields.List(fields.Nested(MonthSchema))
    storage = fields.Nested(StoredSchema)
    quotas = fields.Nested(QuotasSchema)


@blueprint.get("/usage")
@blueprint.documented(scope="jobs:read", query=UsageQuery, replies={200: UsageReportSchema})
def get_usage(query: dict[str, Any]) -> dict[str, Any]:
    """Show the account's usage, storage and quotas."""
    with transaction() as session:
        now = datetime.now(UTC)
        rows = usage.monthly_usage(session, account_id(), since=_months_before(now, query["months"] - 1))
        stored = usage.stored_bytes(session, account_id())
        budget = usage.monthly_budget(session, account_id())
    months = group_by_month(rows, now)
    return {
        "months": months,
        "storage": {"bytes": sum(stored.values()), **stored},
        "quotas": _quotas_view(budget, months[0]["cost"]),
    }


def group_by_month(rows: Sequence[tuple[datetime, str, float, float]], now: datetime) -> list[dict[str, Any]]:
    """Return the usage of each month, newest first, with the current one even if it is empty."""
    by_month: dict[str, dict[str, Any]] = {f"{now:%Y-%m}": {}}
    for month, kind, amount, cost in rows:
        by_month.setdefault(f"{month:%Y-%m}", {})[kind] = {"amount": amount, "cost": cost}
    return [
        {"month": month, "cost": sum(spent["cost"] for spent in used.values()), "used": used}
        for month, used in sorted(by_month.items(), reverse=True)
    ]


def _quotas_view(budget: float | None, spent: float) -> dict[str, Any]:
    limits = config()
    return {
        "budget": budget,
        "budget_left": None if budget is None else max(0.0, budget - spent),
        "asset_bytes": limits.max_asset_bytes,
        "unfinished_uploads": limits.max_uploads,
        "body_bytes": limits.max_body_bytes,
        "batch_jobs": limits.max_batch_jobs,
        "running_jobs": limits.max_running_per_account,
    }


def _months_before(now: datetime, months: int) -> datetime:
    """Return the start of the month that is so many months ago."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
