"""Throttles for guessing, in Postgres: neither a lost Redis nor another process forgets them. Functions never commit.

A bucket is one moment: when all that was taken from it is forgotten. Taking moves it on, unless that would be too far.
An attempt is counted before it is tried, so that a thousand at once are no more than a thousand one by one.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import func, select, text, update

from shared.errors import RateLimitExceeded
from shared.models import LoginThrottle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session


_TOO_MANY = "Too many log-ins failed. Retry-After says when to try again."


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whom something is counted for: `burst` at once, and one more each `pace`."""

    kind: str
    parts: tuple[str, ...]
    burst: int
    pace: timedelta

    @property
    def subject(self) -> str:
        """Return the bucket's name: a hash, since people type their passwords where a name is asked for."""
        parts = (self.kind, *self.parts)
        return hashlib.sha256(b"".join(f"{len(part)}:{part}".encode() for part in parts)).hexdigest()


class TooManyLoginAttempts(RateLimitExceeded):
    """Log-ins failed too often: from this address, or with this name."""

    code: ClassVar[str] = "too-many-guesses"
    title: ClassVar[str] = "Too many failed log-ins"

    @property
    def retry_after(self) -> float:
        """Seconds until another try is let through."""
        return float(self.args[1])


# Of one name from one address: what a person mistypes. Of a name from everywhere: what NIST SP 800-63B allows in a row.
# Of an address: whoever tries one password on many names.
def pair_bucket(username: str, address: str) -> Bucket:
    """Count the tries at one name from one address."""
    return Bucket("pair", (username, client_network(address)), burst=10, pace=timedelta(minutes=1))


def name_bucket(username: str) -> Bucket:
    """Count the tries at one name from everywhere."""
    return Bucket("name", (username,), burst=100, pace=timedelta(seconds=30))


def address_bucket(address: str) -> Bucket:
    """Count the tries from one address at any name."""
    return Bucket("source", (client_network(address),), burst=50, pace=timedelta(seconds=10))


def logins_bucket(owner: str) -> Bucket:
    """Count the log-ins that went well: each is a row, and there is a token for renewing it."""
    return Bucket("issued", (owner,), burst=300, pace=timedelta(seconds=2))


def count_attempt(session: Session, buckets: Sequence[Bucket], words: str = _TOO_MANY) -> None:
    """Count one try in each, or raise TooManyGuesses, for the transaction to end without a trace.

    Everyone takes in the same order of kinds, so that no two wait for each other.
    """
    for bucket in buckets:
        row = session.execute(
            _COUNT_ATTEMPT,
            {"subject": bucket.subject, "pace": bucket.pace, "room": bucket.pace * (bucket.burst - 1)},
        ).first()
        if row is None:
            raise TooManyLoginAttempts(words, _seconds_until_free(session, bucket))


def refund_attempt(session: Session, buckets: Sequence[Bucket]) -> None:
    """Count one try less in each: it was no guess."""
    for bucket in buckets:
        session.execute(
            update(LoginThrottle)
            .where(LoginThrottle.subject == bucket.subject)
            .values(forgotten_at=LoginThrottle.forgotten_at - bucket.pace)
        )


def rewrite_bucket(session: Session, buckets: Sequence[Bucket]) -> None:
    """Write one of them once more as it is."""
    session.execute(
        update(LoginThrottle)
        .where(LoginThrottle.subject == buckets[0].subject)
        .values(forgotten_at=LoginThrottle.forgotten_at)
    )


def client_network(address: str) -> str:
    """Return whom an address stands for: of IPv6, the /64 that one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


# The clock and not now(): a transaction that has waited for another's row began before that one's moment.
_COUNT_ATTEMPT = text("""
INSERT INTO guesses AS held (subject, forgotten_at) VALUES (:subject, clock_timestamp() + :pace)
ON CONFLICT (subject) DO UPDATE SET forgotten_at = greatest(held.forgotten_at, clock_timestamp()) + :pace
 WHERE held.forgotten_at <= clock_timestamp() + :room
RETURNING subject
""")


def _seconds_until_free(session: Session, bucket: Bucket) -> float:
    room = bucket.pace * (bucket.burst - 1)
    left = func.extract("epoch", LoginThrottle.forgotten_at - room - func.clock_timestamp())
    seconds = session.scalar(select(left).where(LoginThrottle.subject == bucket.subject))
    return max(1.0, float(seconds or 0))
