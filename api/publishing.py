"""Publishes an account's queued jobs to the broker, after the commit and in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.caller import caller
from api.http.idempotency import ReplayedResponse
from shared.dispatch import publishing
from shared.metrics import jobs_accepted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from api.http.idempotency import StoredResponse


def publish_accepted(response: StoredResponse, kinds: Mapping[str, int]) -> None:
    """Count and publish so many accepted jobs of these kinds, unless the response is a replay of an earlier one."""
    if isinstance(response, ReplayedResponse):
        return
    for kind, number in kinds.items():
        jobs_accepted.labels(kind).inc(number)
    publish_queued()


def publish_queued(account_id: UUID | None = None) -> None:
    """Publish the queued jobs of an account, the caller's by default, in the background; return at once.

    Call it after the commit: a worker that is faster would not find the row. The sweeper publishes what gets lost.
    """
    publishing.publish_soon(account_id or caller().account_id)
