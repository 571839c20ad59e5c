"""Throttles log-in attempts, in Postgres, so that a flushed Redis resets no counters. Functions never commit.

A bucket is a leaky bucket (GCRA): one timestamp, which each attempt moves on by `pace`, and refuses where it would lie too
far ahead. Attempts are counted before they are verified, so that parallel guesses count like sequential ones.
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


_TOO_MANY = "Too many log-ins have failed. Wait for the seconds in Retry-After, then try again."


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate: `burst` attempts at once, and one more each `pace`, for a subject."""

    kind: str
    parts: tuple[str, ...]
    burst: int
    pace: timedelta

    @property
    def subject(self) -> str:
        """The bucket's key: a hash, since people sometimes type their password as the user name."""
        parts = (self.kind, *self.parts)
        return hashlib.sha256(b"".join(f"{len(part)}:{part}".encode() for part in parts)).hexdigest()


class TooManyLoginAttempts(RateLimitExceeded):
    """Too many log-ins have failed from this address or for this user name."""

    code: ClassVar[str] = "too-many-guesses"
    title: ClassVar[str] = "Too many failed log-ins"

    @property
    def retry_after(self) -> float:
        """Seconds until the next attempt is allowed."""
        return float(self.args[1])


# Of one name from one address: typing errors. Of one name from everywhere: the 100 failures that NIST SP 800-63B allows.
# Of one address: password spraying over many names.
def pair_bucket(username: str, address: str) -> Bucket:
    """Return the bucket of attempts for one name from one address."""
    return Bucket("pair", (username, client_network(address)), burst=10, pace=timedelta(minutes=1))


def name_bucket(username: str) -> Bucket:
    """Return the bucket of attempts for one name from everywhere."""
    return Bucket("name", (username,), burst=100, pace=timedelta(seconds=30))


def address_bucket(address: str) -> Bucket:
    """Return the bucket of attempts from one address for any name."""
    return Bucket("source", (client_network(address),), burst=50, pace=timedelta(seconds=10))


def logins_bucket(owner: str) -> Bucket:
    """Return the bucket of successful log-ins, each of which stores a row; clients should refresh instead."""
    return Bucket("issued", (owner,), burst=300, pace=timedelta(seconds=2))


def count_attempt(session: Session, buckets: Sequence[Bucket], detail: str = _TOO_MANY) -> None:
    """Count one attempt in each bucket, or raise TooManyLoginAttempts; the caller's transaction then rolls back.

    Pass buckets in the same order of kinds everywhere, or two requests deadlock.
    """
    for bucket in buckets:
        row = session.execute(
            _COUNT_ATTEMPT,
            {"subject": bucket.subject, "pace": bucket.pace, "burst_time": bucket.pace * (bucket.burst - 1)},
        ).first()
        if row is None:
            raise TooManyLoginAttempts(detail, _seconds_until_free(session, bucket))


def refund_attempt(session: Session, buckets: Sequence[Bucket]) -> None:
    """Take one attempt back from each bucket: it was no guess."""
    for bucket in buckets:
        session.execute(
            update(LoginThrottle)
            .where(LoginThrottle.subject == bucket.subject)
            .values(forgotten_at=LoginThrottle.forgotten_at - bucket.pace)
        )


def rewrite_bucket(session: Session, buckets: Sequence[Bucket]) -> None:
    """Write a bucket unchanged, so that this request's statements equal those of a recorded failure."""
    session.execute(
        update(LoginThrottle)
        .where(LoginThrottle.subject == buckets[0].subject)
        .values(forgotten_at=LoginThrottle.forgotten_at)
    )


def client_network(address: str) -> str:
    """Return the network that an address counts for: for IPv6 its /64, which one customer controls."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


# clock_timestamp(), not now(): a transaction that waited for the row's lock started before the other one's timestamp.
_COUNT_ATTEMPT = text("""
INSERT INTO guesses AS held (subject, forgotten_at) VALUES (:subject, clock_timestamp() + :pace)
ON CONFLICT (subject) DO UPDATE SET forgotten_at = greatest(held.forgotten_at, clock_timestamp()) + :pace
 WHERE held.forgotten_at <= clock_timestamp() + :burst_time
RETURNING subject
""")


def _seconds_until_free(session: Session, bucket: Bucket) -> float:
    burst_time = bucket.pace * (bucket.burst - 1)
    left = func.extract("epoch", LoginThrottle.forgotten_at - burst_time - func.clock_timestamp())
    seconds = session.scalar(select(left).where(LoginThrottle.subject == bucket.subject))
    return max(1.0, float(seconds or 0))
