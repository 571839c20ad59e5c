"""What a run of chaos comes to: jobs, attempts, waste, how soon lost work was taken up again, violations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.world import World

_ATTEMPTS = """
SELECT count(*) FILTER (WHERE old = 'queued' AND new = 'running') AS begun,
       count(*) FILTER (WHERE old = 'running' AND new = 'queued') AS lost
  FROM chaos.moves WHERE what IN ('job', 'segment')
"""
# A worker's loss is known by the end of its lease: from the fault before it until the same is claimed again.
_RECOVERY = """
SELECT lost.at AS lost_at, extract(epoch FROM again.at - :fault)::float AS seconds
  FROM chaos.moves lost
  JOIN LATERAL (SELECT at FROM chaos.moves next WHERE next.id = lost.id AND next.number > lost.number
                   AND next.new = 'running' ORDER BY number LIMIT 1) again ON true
 WHERE lost.old = 'running' AND lost.new = 'queued' AND lost.at > :fault AND lost.at <= :next
"""
# What was lost since a fault and is not taken up again yet; what nobody wants any more never is.
LEFT_LYING = """
SELECT count(*) FROM chaos.moves lost JOIN jobs ON jobs.id = lost.job_id
 WHERE lost.at > :fault AND lost.old = 'running' AND lost.new = 'queued' AND jobs.state IN ('queued', 'running')
   AND NOT EXISTS (SELECT FROM chaos.moves next WHERE next.id = lost.id AND next.number > lost.number)
"""
LOSING = ("F1 ", "F2 ")  # the faults that lose work at one known moment, with everything else up


@dataclass(frozen=True)
class Report:
    """The figures of a run."""

    seed: int
    states: Mapping[str, int]
    begun: int
    lost: int
    faults: Mapping[str, int]
    recoveries: Sequence[float]
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
                f"attempts {self.begun}, lost {self.lost}, waste {self.waste:.1%}",
                f"recovery of {len(self.recoveries)}: p50 {self.recovery(0.5):.2f} s, p99 {self.recovery(0.99):.2f} s",
                f"faults {sum(self.faults.values())}: {dict(self.faults)}",
                f"violations {dict(self.broken)}",
            )
        )


def report(world: World, broken: Mapping[str, Sequence[str]]) -> Report:
    begun, lost = world.rows(_ATTEMPTS)[0]
    recoveries: list[float] = []
    ends = [hit.at for hit in world.hits[1:]] + [world.now()]
    for hit, end in zip(world.hits, ends, strict=True):
        if hit.name.startswith(LOSING):
            recoveries += [row.seconds for row in world.rows(_RECOVERY, fault=hit.at, next=end)]
    return Report(
        world.seed,
        Counter(row[0] for row in world.rows("SELECT state FROM jobs")),
        begun,
        lost,
        Counter(hit.name for hit in world.hits),
        recoveries,
        broken,
    )
