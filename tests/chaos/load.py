"""Many small jobs, each unlike all others, so that no cache hides work: drawn from a seed."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

SMALL = {"resolution": "360p", "fps": 24, "quality": "draft", "sidecars": ["poster"]}
_numbers = itertools.count(1)


def colour(rng: random.Random) -> str:
    return f"#{rng.randrange(1 << 24):06x}"


def video(
    rng: random.Random, *, scenes: int = 1, seconds: float | None = None, **output: Any
) -> dict[str, Any]:
    """A silent video; no two have a scene in common."""
    drawn = [
        {
            "duration": seconds or round(rng.uniform(0.2, 1.0), 2),
            "visual": {"type": "gradient", "colors": [colour(rng), colour(rng)]},
        }
        for _ in range(scenes)
    ]
    return {"kind": "video", "script": {"scenes": drawn}, "output": {**SMALL, **output}}


def slow(rng: random.Random) -> dict[str, Any]:
    """A video whose one segment takes seconds to render, so that a fault finds it at work."""
    return video(rng, seconds=10, resolution="720p", fps=30)


def script(rng: random.Random) -> dict[str, Any]:
    """A script by the outliner."""
    about = " ".join(rng.choice(("Tides", "Corals", "Kelp", "Storms", "Gulls", "Salt")) for _ in range(4))
    return {"kind": "script", "brief": {"topic": f"{about} {next(_numbers)}", "scenes": 2}}


def mixed(rng: random.Random) -> dict[str, Any]:
    """A job as the random schedule posts it: one in four is a video of one to three segments."""
    job = video(rng, scenes=rng.randint(1, 3)) if rng.random() < 0.25 else script(rng)
    return {**job, "priority": rng.choice(("interactive", "normal", "normal", "bulk"))}


def key() -> str:
    return f"chaos-{uuid.uuid4().hex}"
