"""A row of data becomes a video, through the whole stack."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.e2e.stack import Stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "templates" / "data-story.json"
ACCENT = (0x7D, 0xD3, 0xFC)  # of the theme's captions, and so of the bar that is meant

pytestmark = [pytest.mark.e2e, pytest.mark.services]


def test_a_data_story_s_bars_are_in_the_video_and_its_cost_in_the_ledger(stack: Stack) -> None:
    job = {**json.loads(EXAMPLE.read_text()), "output": {"resolution": "360p", "fps": 25, "quality": "draft"}}
    foreseen = stack.http.post("/v1/jobs?dry_run=true", json=job).json()

    task = stack.run(job)

    assert (task["template_id"], task["template_version"]) == ("data-story", 1)
    assert task["result"]["duration"] == pytest.approx(foreseen["estimate"]["duration"], rel=0.2)
    chart = foreseen["timeline"][1]
    video = stack.http.get(f"/v1/tasks/{task['task_id']}/artifacts/video.mp4").content
    assert longest_bar(video, chart["start"] + chart["duration"] / 2) > 0.2
    used = stack.http.get("/v1/usage").json()["months"][0]["used"]
    assert used["render_seconds"]["amount"] > 0


def longest_bar(video: bytes, second: float) -> float:
    """Return the longest run of the accent in a line, as a part of the width."""
    with av.open(io.BytesIO(video)) as file:
        frame = next(one for one in file.decode(video=0) if one.time >= second)
    near = np.abs(frame.to_ndarray(format="rgb24").astype(int) - ACCENT).max(axis=2) < 40
    return float(near.sum(axis=1).max()) / frame.width
