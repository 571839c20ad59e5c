"""The seeded random schedule of all faults, for some minutes, as `make chaos` runs it; its figures are read from its words."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

from tests.chaos.world import LEASE, SWEEP

BOUND = LEASE + SWEEP + 2  # seconds
SEED = 1
_SAID = re.compile(
    r"seed (?P<seed>\d+): (?P<jobs>\d+) jobs.*?attempts (?P<begun>\d+), lost (?P<lost>\d+), waste (?P<waste>[\d.]+)%"
    r".*?recovery of (?P<recoveries>\d+): p50 (?P<p50>[\d.]+) s, p99 (?P<p99>[\d.]+) s"
    r".*?faults (?P<faults>\d+):.*?violations (?P<violations>\{[^\n]*\})",
    re.DOTALL,
)


def measured(minutes: float) -> dict[str, Any]:
    """Return the figures of a run of so many minutes."""
    argv = [
        sys.executable, "-m", "pytest", "-m", "chaos", "tests/chaos/test_random.py", "-p", "no:cacheprovider",
        "--seed", str(SEED), "--minutes", str(minutes),
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60 * minutes + 400, check=False)
    return read(done.stdout) | {"minutes": minutes, "passed": done.returncode == 0}


def read(said: str) -> dict[str, Any]:
    """Return the figures in a run's last lines, or raise ValueError."""
    match = _SAID.search(said)
    if match is None:
        raise ValueError(f"The run of chaos told no figures: {said[-800:]}")
    numbers = {name: float(value) for name, value in match.groupdict().items() if name != "violations"}
    return {**numbers, "violations": match["violations"]}
