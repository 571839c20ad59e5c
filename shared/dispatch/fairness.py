"""Fair dispatch: which of an account's waiting work may be published now. The rest waits in Postgres.

Each account has at most a window of messages at the broker that nobody has claimed yet, for each queue; whoever claims one
lets the next one in. So one account's ten thousand jobs stand in Redis as a handful, and another account's job waits for
no more than what is running: who has nothing running is taken first, in turns where there are several. Inside an account
work goes by turn: interactive first, bulk last, and whatever waited an hour longer before what came an hour later, so that
nothing waits for ever. What a worker had begun and lost goes before what nobody has begun yet.
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
    """How much of one account may be at the workers: messages unclaimed for each queue, and jobs begun."""

    unclaimed: int
    running: int

    @classmethod
    def of(cls, config: Settings) -> Window:
        """Return the window that the settings give an account of weight 1."""
        return cls(unclaimed=config.max_unclaimed_per_account, running=config.max_running_per_account)


_WEIGHT = select(Account.weight).where(Account.id == bindparam("account"))
_LOCK = PreparedStatement("lock_window", _WEIGHT.with_for_update(key_share=True))
_LOCK_IF_FREE = PreparedStatement(
    "lock_free_window", _WEIGHT.with_for_update(key_share=True, skip_locked=True)
)
# A row that somebody else is about to change is left to the next time: this waits for no row, whatever it is part of.
# Segments of a job that has ended are nobody's work any more, and take no place in the window.
# The longest segments of a job go first, so that at its end no worker waits long for another.
# One of an account's places is for when nothing of it runs: what is published then is taken first. With all places full of
# what was published before, others who have nothing running would keep it out. So is its first segment while it renders none:
# a video that has begun must not wait behind what another account has at the workers.
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
), told_segments AS (
    UPDATE segments SET {MARK_PUBLISHED} FROM next_segments WHERE segments.id = next_segments.id
 RETURNING segments.id, segments.job_id, segments.attempt, segments.frames, segments.index
), places AS (
    SELECT CASE WHEN running > 0 THEN greatest(1, :unclaimed - 1) ELSE :unclaimed END * :weight AS each FROM busy
), room AS (
    SELECT greatest(0, each - videos - unclaimed - (SELECT count(*) FROM next_segments)) AS videos,
           greatest(0, each - scripts) AS scripts,
           greatest(0, :running * :weight - busy.running - videos - scripts) AS jobs
      FROM busy, parts, places
), next_videos AS (
    SELECT id, turn FROM jobs
     WHERE account_id = :account AND state = 'queued' AND published_at IS NULL AND run_after <= now()
       AND kind <> 'script' AND attempt < max_attempts
     ORDER BY turn, id LIMIT (SELECT least(videos, jobs) FROM room)
       FOR UPDATE SKIP LOCKED
), next_scripts AS (
    SELECT id, turn FROM jobs
     WHERE account_id = :account AND state = 'queued' AND published_at IS NULL AND run_after <= now()
       AND kind = 'script' AND attempt < max_attempts
     ORDER BY turn, id LIMIT (SELECT least(scripts, jobs) FROM room)
       FOR UPDATE SKIP LOCKED
), next_jobs AS (
    SELECT id, row_number() OVER (ORDER BY turn, id) AS place
      FROM (SELECT * FROM next_videos UNION ALL SELECT * FROM next_scripts) AS either
     ORDER BY turn, id LIMIT (SELECT jobs FROM room)
), told_jobs AS (
    UPDATE jobs SET {MARK_PUBLISHED} FROM next_jobs WHERE jobs.id = next_jobs.id
 RETURNING jobs.id, jobs.kind, jobs.request_id, jobs.turn, jobs.attempt, next_jobs.place
)
SELECT 'assembly' AS what, finishing.id, finishing.id AS job_id, request_id, true AS again, true AS idle,
       NULL::timestamptz AS turn, interval '0' AS waited, 0 AS frames, 0 AS index
  FROM finishing
UNION ALL
SELECT 'segment', told_segments.id, jobs.id, jobs.request_id, told_segments.attempt > 0,
       rendering.parts = 0
       AND row_number() OVER (
           ORDER BY told_segments.attempt = 0, jobs.turn, jobs.id, told_segments.frames DESC, told_segments.index
       ) <= :weight,
       jobs.turn, now() - jobs.turn, told_segments.frames, told_segments.index
  FROM rendering, told_segments JOIN jobs ON jobs.id = told_segments.job_id
UNION ALL
SELECT kind, told_jobs.id, told_jobs.id, request_id, told_jobs.attempt > 0, busy.running = 0 AND place <= :weight, turn,
       now() - turn, 0, 0
  FROM told_jobs, busy
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
    """Mark the account's next work as published, as far as its window allows, and return it to be sent."""
    # One at a time for each account: two that count at once would both find room.
    weight = session.scalar(_LOCK.prepare(session), {"account": account_id})
    return [] if weight is None else _admit(session, account_id, weight, window)


def try_admit(session: Session, account_id: uuid.UUID, window: Window) -> list[Message] | None:
    """Do the same within a transaction that has locks of its own; None where somebody else is at it: nothing is waited for."""
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
    """Return how soon a message is taken whose job's turn came so long ago, or is still to come.

    A new job's is moved by its priority. It rises while it waits: bulk counts as normal after an hour, and either as
    interactive an hour after that, so that none waits for ever behind a stream of others, at the broker as little as here.
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
    """Return the accounts that have work nobody was told of, by a step through the index for each of them."""
    return list(session.scalars(_WAITING))
