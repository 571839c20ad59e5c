"""Throws away what is past its time, until nothing of it is left or the round has gone on for long enough."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from shared import logins, retention
from shared.db import transaction
from shared.storage import storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from shared.settings import Settings

ROUND_SECONDS = (
    60.0  # a part of the time until the next round, so that two do not take all of a worker's slots
)


def purge(config: Settings) -> dict[str, int]:
    """Throw away expired jobs with their files, old keys, log-ins, deliveries and audit events; return how much of each."""
    until = time.monotonic() + ROUND_SECONDS
    kept = config.keep_records
    kinds: dict[str, Callable[[Session], int]] = {
        "keys_forgotten": partial(retention.keys, kept=config.idempotency_ttl),
        "deliveries_forgotten": partial(retention.deliveries, kept=kept),
        "events_forgotten": partial(retention.events, kept=kept),
        "logins_forgotten": logins.purge,
    }
    thrown = {name: _repeated(partial(_bite, kind), until) for name, kind in kinds.items()}
    return {"expired": _repeated(_expired, until), **thrown}


def _repeated(bite: Callable[[], int], until: float) -> int:
    """Take bites until one finds nothing, but none that begins too late; each is a transaction of its own."""
    total = 0
    while (taken := bite()) and time.monotonic() < until:
        total += taken
    return total + taken


def _bite(kind: Callable[[Session], int]) -> int:
    with transaction() as session:
        return kind(session)


def _expired() -> int:
    with transaction() as session:
        gone, keys = retention.expired(session)
    for key in keys:
        storage().delete(key)
    return gone
