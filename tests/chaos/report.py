"""What a run of chaos comes to: jobs, attempts, waste, how soon lost work was taken up again, violations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.faults import FAILING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tests.chaos.world import World

_ATTEMPTS = """
SELECT count(*) FILTER (WHERE old = 'queued' AND new = 'running') AS begun,
       count(*) FILTER (WHERE old = 'running' AND new = 'queued') AS lost
  FROM chaos.moves WHERE what IN ('job', 'segment')
"""
# What was being worked on at a fault, what became of it, whether anybody wants it still, and after how many seconds it was
# begun again where it was lost: from the fault itself, not from when the loss was known, to the claim of the same work.
_HELD = """
WITH held AS (
    SELECT * FROM (SELECT DISTINCT ON (id) * FROM chaos.moves WHERE what IN ('job', 'segment') AND at <= :fault
                    ORDER BY id, number DESC) AS last
     WHERE new = 'running' AND leased IS NOT FALSE
)
SELECT settled.new AS became, jobs.state IN ('queued', 'running') AS wanted,
       extract(epoch FROM again.at - :fault)::float AS seconds
  FROM held JOIN jobs ON jobs.id = held.job_id
  LEFT JOIN LATERAL (SELECT * FROM chaos.moves later WHERE later.id = held.id AND later.number > held.number
                        AND (new <> 'running' OR leased IS FALSE) ORDER BY number LIMIT 1) settled ON true
  LEFT JOIN LATERAL (SELECT * FROM chaos.moves later WHERE later.id = held.id AND later.number > settled.number
                        AND settled.new = 'queued' AND new = 'running' ORDER BY number LIMIT 1) again ON true
"""
# Why jobs failed, and how many of them no process is known to have died over.
_FAILED = """
SELECT error ->> 'code' AS code, count(*) AS jobs, count(*) FILTER (WHERE deaths = 0) AS unharmed
  FROM jobs WHERE state = 'failed' GROUP BY 1
"""
MEASURED = ("F1 ", "F2 ")  # the names of `faults.LOSING`


@dataclass(frozen=True)
class Report:
    """The figures of a run."""

    seed: int
    states: Mapping[str, int]
    begun: int
    lost: int
    faults: Mapping[str, int]
    recoveries: Sequence[float]
    failed: Mapping[str, int]
    broken: Mapping[str, Sequence[str]]

    @property
    def waste(self) -> float:
        """Return which part of all attempts came to nothing."""
        return self.lost / self.begun

    def recovery(self, part: float) -> float:
        """Return within how many seconds so large a part of lost work was taken up again."""
        ordered = sorted(self.recoveries)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        return "\n".join(
            (
                f"seed {self.seed}: {sum(self.states.values())} jobs, {dict(self.states)}",
                f"failed {dict(self.failed)}",
                f"attempts {self.begun}, lost {self.lost}, waste {self.waste:.1%}",
                f"recovery of {len(self.recoveries)}: p50 {self.recovery(0.5):.2f} s, p99 {self.recovery(0.99):.2f} s",
                f"faults {sum(self.faults.values())}: {dict(self.faults)}",
                f"violations {dict(self.broken)}",
            )
        )


def all_taken_up(world: World, fault: datetime) -> bool:
    """Tell whether all that was worked on at a fault has gone on, been begun again, or is wanted no more."""
    return all(
        row.became not in (None, "queued") or row.seconds is not None or not row.wanted
        for row in world.rows(_HELD, fault=fault)
    )


def unexplained(world: World) -> list[str]:
    """Return which failures none of the faults asked for: an ffmpeg that fails ends one job, two deaths over one end it."""
    failing = sum(hit.name.removeprefix("F12 ffmpeg ") in FAILING for hit in world.hits)
    return [
        f"{row.jobs} jobs failed as {row.code}"
        for row in world.rows(_FAILED)
        if not (row.code == "render-failed" and row.jobs <= failing)
        and not (row.code == "worker-lost" and not row.unharmed)
    ]


def report(world: World, broken: Mapping[str, Sequence[str]]) -> Report:
    begun, lost = world.rows(_ATTEMPTS)[0]
    losses = [hit.at for hit in world.hits if hit.name.startswith(MEASURED)]
    held = [row.seconds for fault in losses for row in world.rows(_HELD, fault=fault)]
    return Report(
        world.seed,
        Counter(row[0] for row in world.rows("SELECT state FROM jobs")),
        begun,
        lost,
        Counter(hit.name for hit in world.hits),
        [seconds for seconds in held if seconds is not None],
        {row.code: row.jobs for row in world.rows(_FAILED)},
        broken,
    )
