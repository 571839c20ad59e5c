"""Fair dispatch: decides which of an account's waiting work may be published now. The rest waits in Postgres.

Each account has a window: a number of unclaimed messages in each queue. A claimed message admits the next one. So an
account's ten thousand jobs are a handful of messages in Redis, and another account's job waits only for what is
running. An account with nothing running goes first; several such accounts take turns. Within an account, jobs are
ordered by `turn`: their creation time moved by their priority, so that nothing waits for ever. Work that a worker began
and lost goes before work that never began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Integer, Uuid, bindparam, select, text

from shared.dispatch.messages import Message, PriorityLevel
from shared.lifecycle.publication import MARK_PUBLISHED
from shared.lifecycle.submissions import HEAD_START
from shared.models import Account
from shared.names import TaskName
from shared.prepared_statements import PreparedStatement

if TYPE_CHECKING:
    import uuid
    from datetime import timedelta

    from sqlalchemy.orm import Session

    from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Window:
    """An account's limits: unclaimed messages in each queue, and running jobs."""

    unclaimed: int
    running: int

    @classmethod
    def of(cls, config: Settings) -> Window:
        """Return the window of an account of weight 1."""
        return cls(unclaimed=config.max_unclaimed_per_account, running=config.max_running_per_account)


_WEIGHT = select(Account.weight).where(Account.id == bindparam("account"))
_LOCK = PreparedStatement("lock_window", _WEIGHT.with_for_update(key_share=True))
_LOCK_IF_FREE = PreparedStatement(
    "lock_free_window", _WEIGHT.with_for_update(key_share=True, skip_locked=True)
)
# SKIP LOCKED throughout: a row that another transaction is changing is left to the next admission, so this never waits.
# Segments of an ended job are ignored and take no place in the window. The longest segments of a job go first, so that
# at its end no worker waits long for another. One place of the window is reserved for an account with nothing running:
# its job is most urgent, and must not be kept out by a window full of messages published before. The same holds for its
# first segment while it renders none: a video that has begun must not wait behind another account's messages.
_ADMISSION = text(f"""
WITH busy AS (
    SELECT count(*) FILTER (WHERE state = 'queued' AND kind = 'script') AS scripts,
           count(*) FILTER (WHERE state = 'queued' AND kind <> 'script') AS videos,
           count(*) FILTER (WHERE state <> 'queued') AS running
      FROM jobs
     WHERE account_id = :account
       AND (state IN ('running', 'canceling') OR (state = 'queued' AND published_at IS NOT NULL))
), parts AS (
    SELECT count(*) AS unclaimed FROM segments JOIN jobs ON jobs.id = segments.job_id
     WHERE segments.account_id = :account AND segments.state = 'queued' AND segments.published_at IS NOT NULL
       AND jobs.state = 'running'
), rendering AS (
    SELECT count(*) AS parts FROM segments WHERE account_id = :account AND state = 'running'
), next_assemblies AS (
    SELECT id FROM jobs
     WHERE account_id = :account AND state = 'running' AND stage = 'assembling'
       AND leased_until IS NULL AND published_at IS NULL
       FOR UPDATE SKIP LOCKED
), finishing AS (
    UPDATE jobs SET {MARK_PUBLISHED} FROM next_assemblies WHERE jobs.id = next_assemblies.id
 RETURNING jobs.id, jobs.request_id
), next_segments AS (
    SELECT segments.id FROM segments JOIN jobs ON jobs.id = segments.job_id
     WHERE segments.account_id = :account AND segments.state = 'queued' AND segments.published_at IS NULL
       AND segments.run_after <= now() AND jobs.state = 'running'
     ORDER BY segments.attempt = 0, jobs.turn, jobs.id, segments.frames DESC, segments.index
     LIMIT (SELECT greatest(0, :unclaimed * :weight - busy.videos - parts.unclaimed) FROM busy, parts)
       FOR UPDATE OF segments SKIP LOCKED
), published_segments AS (
    UPDATE segments SET {MARK_PUBLISHED} FROM next_segments WHERE segments.id = next_segments.id
 RETURNING segments.id, segments.job_id, segments.attempt, segments.frames, segments.index
), places AS (
    SELECT CASE WHEN running > 0 THEN greatest(1, :unclaimed - 1) ELSE :unclaimed END * :weight AS each FROM busy
), free AS (
    SELECT greatest(0, each - videos - unclaimed - (SELECT count(*) FROM next_segments)) AS videos,
           greatest(0, each - scripts) AS scripts,
           greatest(0, :running * :weight - busy.running - videos - scripts) AS jobs
      FROM busy, parts, places
), next_videos AS (
    SELECT id, turn FROM jobs
     WHERE account_id = :account AND state = 'queued' AND published_at IS NULL AND run_after <= now()
       AND kind <> 'script' AND attempt < max_attempts
     ORDER BY turn, id LIMIT (SELECT least(videos, jobs) FROM free)
       FOR UPDATE SKIP LOCKED
), next_scripts AS (
    SELECT id, turn FROM jobs
     WHERE account_id = :account AND state = 'queued' AND published_at IS NULL AND run_after <= now()
       AND kind = 'script' AND attempt < max_attempts
     ORDER BY turn, id LIMIT (SELECT least(scripts, jobs) FROM free)
       FOR UPDATE SKIP LOCKED
), next_jobs AS (
    SELECT id, row_number() OVER (ORDER BY turn, id) AS place
      FROM (SELECT * FROM next_videos UNION ALL SELECT * FROM next_scripts) AS either
     ORDER BY turn, id LIMIT (SELECT jobs FROM free)
), published_jobs AS (
    UPDATE jobs SET {MARK_PUBLISHED} FROM next_jobs WHERE jobs.id = next_jobs.id
 RETURNING jobs.id, jobs.kind, jobs.request_id, jobs.turn, jobs.attempt, next_jobs.place
)
SELECT 'assembly' AS what, finishing.id, finishing.id AS job_id, request_id, true AS again, true AS idle,
       NULL::timestamptz AS turn, interval '0' AS waited, 0 AS frames, 0 AS index
  FROM finishing
UNION ALL
SELECT 'segment', published_segments.id, jobs.id, jobs.request_id, published_segments.attempt > 0,
       rendering.parts = 0
       AND row_number() OVER (
           ORDER BY published_segments.attempt = 0, jobs.turn, jobs.id, published_segments.frames DESC, published_segments.index
       ) <= :weight,
       jobs.turn, now() - jobs.turn, published_segments.frames, published_segments.index
  FROM rendering, published_segments JOIN jobs ON jobs.id = published_segments.job_id
UNION ALL
SELECT kind, published_jobs.id, published_jobs.id, request_id, published_jobs.attempt > 0,
       busy.running = 0 AND place <= :weight, turn,
       now() - turn, 0, 0
  FROM published_jobs, busy
ORDER BY again DESC, turn NULLS FIRST, job_id, frames DESC, index
""").bindparams(  # noqa: S608 (its one part is a constant)
    bindparam("account", type_=Uuid),
    bindparam("weight", type_=Integer),
    bindparam("unclaimed", type_=Integer),
    bindparam("running", type_=Integer),
)
_ADMIT = PreparedStatement("admit", _ADMISSION)

_TASKS = {
    "assembly": TaskName.ASSEMBLE,
    "segment": TaskName.SEGMENT,
    "script": TaskName.SCRIPT,
    "video": TaskName.VIDEO,
}


def admit(session: Session, account_id: uuid.UUID, window: Window) -> list[Message]:
    """Mark the account's next work as published, up to its window, and return the messages to send."""
    # The account's row is locked: two admissions that count at once would both find space.
    weight = session.scalar(_LOCK.prepare(session), {"account": account_id})
    return [] if weight is None else _admit(session, account_id, weight, window)


def try_admit(session: Session, account_id: uuid.UUID, window: Window) -> list[Message] | None:
    """Admit as `admit` does, or return None at once if another transaction is admitting for this account.

    It is safe inside a transaction that holds other locks, since it waits for none.
    """
    weight = session.scalar(_LOCK_IF_FREE.prepare(session), {"account": account_id})
    return None if weight is None else _admit(session, account_id, weight, window)


def _admit(session: Session, account_id: uuid.UUID, weight: int, window: Window) -> list[Message]:
    rows = session.execute(
        _ADMIT.prepare(session),
        {
            "account": account_id,
            "weight": weight,
            "unclaimed": window.unclaimed,
            "running": window.running,
        },
    )
    return [
        Message(
            _TASKS[row.what],
            row.id,
            row.job_id,
            request_id=row.request_id,
            account_id=account_id,
            priority=PriorityLevel.URGENT if row.again or row.idle else priority_of(row.waited),
        )
        for row in rows
    ]


def priority_of(waited: timedelta) -> PriorityLevel:
    """Return the urgency of a job's message, given how long ago its turn came (negative: still to come).

    The turn is moved by the priority, and urgency rises with waiting: bulk counts as normal after an hour, and both as
    interactive an hour later, so that no message waits for ever at the broker either.
    """
    if waited >= -HEAD_START["interactive"]:
        return PriorityLevel.HIGH
    return PriorityLevel.NORMAL if waited >= -HEAD_START["normal"] else PriorityLevel.LOW


_WAITING = text("""
WITH RECURSIVE waiting_jobs AS (
    (SELECT account_id FROM jobs WHERE state = 'queued' AND published_at IS NULL ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.account_id FROM jobs
             WHERE state = 'queued' AND published_at IS NULL AND jobs.account_id > waiting_jobs.account_id
             ORDER BY jobs.account_id LIMIT 1)
      FROM waiting_jobs WHERE account_id IS NOT NULL
), waiting_segments AS (
    (SELECT account_id FROM segments WHERE state = 'queued' AND published_at IS NULL ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT segments.account_id FROM segments
             WHERE state = 'queued' AND published_at IS NULL AND segments.account_id > waiting_segments.account_id
             ORDER BY segments.account_id LIMIT 1)
      FROM waiting_segments WHERE account_id IS NOT NULL
)
SELECT account_id FROM waiting_jobs WHERE account_id IS NOT NULL
UNION SELECT account_id FROM waiting_segments WHERE account_id IS NOT NULL
UNION SELECT account_id FROM jobs
       WHERE state = 'running' AND stage = 'assembling' AND leased_until IS NULL AND published_at IS NULL
""")


def waiting_accounts(session: Session) -> list[uuid.UUID]:
    """Return the accounts that have unpublished work, with one index step per account."""
    return list(session.scalars(_WAITING))
