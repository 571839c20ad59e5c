"""What the account has used, what of that it paid for, what it stores, and what it may."""

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

blueprint = Resource("usage", "What was used, and what may be.")
_AMOUNT = {"description": "Of it; a number of tokens, spoken characters, images or seconds."}


class SpentSchema(Schema):
    """So much of one thing."""

    amount = fields.Float(metadata=_AMOUNT)
    cost = fields.Float(metadata={"description": "By the prices of that moment."})


class MonthSchema(Schema):
    """A calendar month, in UTC."""

    month = fields.String(metadata={"description": "Such as 2026-01."})
    cost = fields.Float()
    used = fields.Dict(
        keys=fields.String(metadata={"enum": [str(kind) for kind in UsageKind]}),
        values=fields.Nested(SpentSchema),
    )


class StoredSchema(Schema):
    """Bytes in the storage."""

    bytes = fields.Integer(metadata={"description": "All of it."})
    assets = fields.Integer()
    artifacts = fields.Integer()
    cache = fields.Integer(metadata={"description": "What was rendered and spoken; it makes room by itself."})


class QuotasSchema(Schema):
    """What the account may."""

    budget = fields.Float(allow_none=True, metadata={"description": "Of a month; null: nothing limits it."})
    budget_left = fields.Float(allow_none=True)
    asset_bytes = fields.Integer(metadata={"description": "Of one asset."})
    unfinished_uploads = fields.Integer(metadata={"description": "In pieces, at once."})
    body_bytes = fields.Integer(metadata={"description": "Of one request."})
    batch_jobs = fields.Integer(metadata={"description": "In one batch."})
    running_jobs = fields.Integer(metadata={"description": "That are begun at once; others wait."})


class UsageReportSchema(Schema):
    """What was used by month, newest first, and what may be."""

    months = fields.List(fields.Nested(MonthSchema))
    storage = fields.Nested(StoredSchema)
    quotas = fields.Nested(QuotasSchema)


@blueprint.get("/usage")
@blueprint.documented(scope="jobs:read", query=UsageQuery, replies={200: UsageReportSchema})
def get_usage(query: dict[str, Any]) -> dict[str, Any]:
    """Show what the account has used and stores, and what it may."""
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
    """Return months with what was used in each, newest first; the present one is always there."""
    found: dict[str, dict[str, Any]] = {f"{now:%Y-%m}": {}}
    for month, kind, amount, cost in rows:
        found.setdefault(f"{month:%Y-%m}", {})[kind] = {"amount": amount, "cost": cost}
    return [
        {"month": month, "cost": sum(each["cost"] for each in used.values()), "used": used}
        for month, used in sorted(found.items(), reverse=True)
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
    """Return the first moment of the month that lies so many before this one."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
