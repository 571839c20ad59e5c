"""Says what the figures of a bench depend on: the machine, its system, and whether others were busy on it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def facts(parts: Sequence[str]) -> dict[str, str]:
    """Return what the figures depend on; `parts` are the distributions whose versions matter."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1e6
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}",
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "parts": ", ".join(f"{name} {version(name)}" for name in parts),
    }
