"""Signed links: addresses of a task's artifacts that need no key and expire.

A link names the task, the moment of its expiry and a signature: HMAC-SHA256 by a secret of the account over both and
over the artifact's name. Files of a folder (an HLS playlist and its segments) share the signature of the folder, so that
the relative addresses in a playlist lead to links as well. Deleting the task ends its links.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import select

from shared.models import Account, Artifact, Job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

DEFAULT_SECONDS = 24 * 3600
MAX_SECONDS = 365 * 24 * 3600
# Expiry is rounded up to whole hours: otherwise each answer would have other links, and another ETag.
ROUNDING = 3600


class LinkSigner:
    """Signs links to the artifacts of one account's jobs."""

    def __init__(self, secret: str, base_url: str, seconds: int | None) -> None:
        self._secret = secret
        self._base_url = base_url.rstrip("/")
        self._seconds = seconds

    def sign(self, job: Job, artifact: Artifact) -> str | None:
        """Return the artifact's absolute signed URL, or None if neither the request nor the job asks for one."""
        seconds = self._seconds if self._seconds is not None else job.link_seconds
        if seconds is None:
            return None
        expires = -(-(int(time.time()) + seconds) // ROUNDING) * ROUNDING
        signature = compute_signature(self._secret, job.id, expires, artifact.name)
        return f"{self._base_url}/v1/links/{job.id}/{expires}/{signature}/{quote(artifact.name)}"


def load_signer(
    session: Session, account_id: UUID, jobs: Sequence[Job], *, base_url: str, signed: bool
) -> LinkSigner | None:
    """Return the account's signer if the request asks for signed links or one of the jobs does."""
    if not signed and not any(job.link_seconds for job in jobs):
        return None
    secret = session.scalars(select(Account.link_secret).where(Account.id == account_id)).one()
    return LinkSigner(secret, base_url, DEFAULT_SECONDS if signed else None)


def compute_signature(secret: str, task_id: UUID, expires: int, name: str) -> str:
    """Return the signature in hexadecimal. Names in a folder are signed as the folder."""
    folder, slash, _ = name.partition("/")
    message = f"{task_id}\n{expires}\n{folder}{slash}"
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def find_linked_artifact(
    session: Session, task_id: UUID, expires: int, signature: str, name: str
) -> Artifact | None:
    """Return the artifact that a link names, or None if the link is wrong or expired, or the artifact is gone."""
    found = session.execute(
        select(Artifact, Account.link_secret)
        .join(Account, Account.id == Artifact.account_id)
        .where(Artifact.job_id == task_id, Artifact.name == name, Account.disabled_at.is_(None))
    ).one_or_none()
    artifact, secret = found or (None, "")
    # Compared in constant time, also where there is no artifact: the time must not tell how much of it was right.
    right = hmac.compare_digest(compute_signature(secret, task_id, expires, name), signature)
    return artifact if right and expires > time.time() else None
